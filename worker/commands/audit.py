"""``audit``: a day's rows against an S3 Inventory."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from producers.instant import format_instant
from worker.commands.opening import open_installation
from worker.commands.options import read_day
from worker.commands.printing import AsJson, console, errors, print_json, print_table
from worker.inventory.location import ManifestLocation
from worker.inventory.tolerance import Tolerance

if TYPE_CHECKING:
    from worker.commands.printing import JsonValue
    from worker.inventory.finding import Findings, Line
    from worker.inventory.manifest import Manifest
    from worker.operator_installation import OperatorInstallation
    from worker.usage import Usage

_SHOWN = 20
_PARTS = (
    "SIFTBEAM_INCOMPLETE_UPLOADS is counted, and an inventory lists no parts of uploads under way: "
    "rows may hold more"
)


def audit(
    *,
    inventory: Annotated[str, typer.Option(help="The manifest, s3://BUCKET/…/manifest.json.")],
    day: Annotated[
        str | None,
        typer.Option("--date", help="The rows' day, YYYY-MM-DD. Default: the inventory's own."),
    ] = None,
    tolerance: Annotated[
        str, typer.Option(help="What is no difference: bytes, or a share such as 0.5%.")
    ] = "0",
    within: Annotated[
        int, typer.Option(min=0, help="Hours between the inventory and the day's measure, at most.")
    ] = 24,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="It lists the whole bucket; its configuration is not asked for."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a day's rows with an S3 Inventory, and find bytes that nobody is billed for."""
    location, allowed = _location(inventory), _tolerance(tolerance)
    installation = open_installation()
    wanted = None if day is None else read_day(day, installation.clock.now())
    parts = installation.audit
    manifest = parts.manifest(location, whole=whole)
    chosen = parts.day(manifest) if wanted is None else wanted
    parts.check_age(manifest, chosen, timedelta(hours=within))
    with _progress() as progress:
        task = progress.add_task("adding up", total=sum(file.size for file in manifest.files))
        found = parts.compare(
            manifest, chosen, allowed, lambda file: progress.update(task, advance=file.size)
        )
    notes = _notes(installation, found)
    if as_json:
        print_json(_json(str(location), found, notes))
    else:
        _print(found, notes)
    if not found.clean:
        raise typer.Exit(1)


def _location(uri: str) -> ManifestLocation:
    try:
        return ManifestLocation.parse(uri)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--inventory") from None


def _tolerance(text: str) -> Tolerance:
    try:
        return Tolerance.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--tolerance") from None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def _notes(installation: OperatorInstallation, found: Findings) -> list[str]:
    notes = [_PARTS] if installation.settings.incomplete_uploads == "counted" else []
    late = sum(1 for line in found.lines if line.row is not None and line.row.measured_late)
    if late:
        notes.append(f"{late:,} of the differing rows say what was held on a later day")
    return notes


def _print(found: Findings, notes: list[str]) -> None:
    manifest = found.manifest
    console.print(
        f"{found.day} against the inventory of {manifest.source_bucket} begun at "
        f"{manifest.created_at:%Y-%m-%d %H:%M} UTC, {found.entries:,} entries in "
        f"{len(manifest.files):,} files: {found.agreeing:,} customers agree, "
        f"{len(found.lines):,} do not; rows {found.row_bytes:,} bytes, inventory "
        f"{found.listed_bytes:,}",
        soft_wrap=True,
    )
    if found.lines:
        title = "Not in agreement"
        if len(found.lines) > _SHOWN:
            title += f", the {_SHOWN} that differ most"
        print_table(
            title,
            ("customer", "row bytes", "inventory bytes", "difference", "input", "output", "row"),
            [_row(line) for line in found.lines[:_SHOWN]],
        )
    unbilled = found.unbilled
    if unbilled.folders:
        print_table(
            f"Under no known customer, billed to nobody: {unbilled.usage.total_bytes:,} bytes in "
            f"{unbilled.folders:,} folders",
            ("prefix", "bytes", "objects"),
            [
                (folder.prefix, folder.usage.total_bytes, folder.usage.objects)
                for folder in unbilled.largest[:_SHOWN]
            ],
        )
    if found.elsewhere.objects:
        console.print(
            f"{found.elsewhere.total_bytes:,} bytes in {found.elsewhere.objects:,} objects lie "
            "outside both prefixes, and are no customer's storage",
            soft_wrap=True,
        )
    for note in notes:
        console.print(f"- {note}", soft_wrap=True)


def _row(line: Line) -> tuple[str | int | None, ...]:
    return (
        line.customer_id,
        None if line.row is None else line.row_bytes,
        line.listed.total_bytes,
        line.difference,
        _apart(line.listed.uploaded, None if line.row is None else line.row.uploaded),
        _apart(line.listed.produced, None if line.row is None else line.row.produced),
        _standing(line),
    )


def _apart(listed: Usage, held: Usage | None) -> str | None:
    """How far one prefix is apart, in bytes and objects; None where the row does not say."""
    if held is None:
        return None
    total, objects = listed.total_bytes - held.total_bytes, listed.objects - held.objects
    return f"{total:+,} bytes, {objects:+,} objects"


def _standing(line: Line) -> str:
    if line.row is None:
        return "none"
    if line.row.measured_late:
        return f"{line.row.status}, measured on {line.row.measured_on}"
    return str(line.row.status)


def _json(uri: str, found: Findings, notes: list[str]) -> dict[str, JsonValue]:
    unbilled = found.unbilled
    return {
        "inventory": uri,
        **_json_manifest(found.manifest),
        "date": found.day.isoformat(),
        "entries": found.entries,
        "agree": found.agreeing,
        "differ": len(found.lines),
        "rowBytes": found.row_bytes,
        "inventoryBytes": found.listed_bytes,
        "lines": [_json_line(line) for line in found.lines],
        "unbilled": {
            "prefixes": unbilled.folders,
            **_json_usage(unbilled.usage),
            "largest": [
                {"prefix": folder.prefix, **_json_usage(folder.usage)}
                for folder in unbilled.largest
            ],
        },
        "elsewhere": _json_usage(found.elsewhere),
        "notes": list(notes),
    }


def _json_manifest(manifest: Manifest) -> dict[str, JsonValue]:
    return {
        "bucket": manifest.source_bucket,
        "createdAt": format_instant(manifest.created_at),
        "format": manifest.format,
        "files": len(manifest.files),
    }


def _json_line(line: Line) -> JsonValue:
    row = line.row
    return {
        "customerId": line.customer_id,
        "rowBytes": None if row is None else row.total_bytes,
        "inventoryBytes": line.listed.total_bytes,
        "difference": line.difference,
        "row": None
        if row is None
        else {
            "status": row.status,
            "input": _json_usage(row.uploaded),
            "output": _json_usage(row.produced),
            "measuredOn": row.measured_on,
            "measuredFrom": row.measured_from,
        },
        "input": _json_usage(line.listed.uploaded),
        "output": _json_usage(line.listed.produced),
    }


def _json_usage(usage: Usage | None) -> dict[str, JsonValue]:
    if usage is None:
        return {"bytes": None, "objects": None}
    return {"bytes": usage.total_bytes, "objects": usage.objects}
