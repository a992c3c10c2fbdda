"""``dlq replay``."""

from __future__ import annotations

import contextlib
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from worker.commands.dlq_printing import report_replay
from worker.commands.dlq_scope import (
    Customer,
    Ids,
    Kind,
    NewerThan,
    OlderThan,
    QueueNames,
    ReasonType,
    Yes,
    find_scope,
    must_be_confirmable,
    opened,
    progress,
    read_filters,
    read_queues,
)
from worker.commands.printing import AsJson, errors
from worker.dead_letters.courier import Courier
from worker.dead_letters.errors import BadManifest
from worker.dead_letters.manifest import Manifest, read_manifest
from worker.dead_letters.manifest_shelf import ManifestShelf
from worker.dead_letters.replay_order import ReplayOrder
from worker.dead_letters.replay_report import Fate, ReplayReport

if TYPE_CHECKING:
    from datetime import datetime

    from worker.operator_installation import OperatorInstallation

_WITH_RESUME = {"resume", "yes", "as_json", "send_in_doubt", "dry_run"}


def replay(
    context: typer.Context,
    *,
    ids: Ids = None,
    queue: QueueNames = None,
    customer: Customer = None,
    kind: Kind = None,
    reason: ReasonType = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Replay no more than this.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, max=1_000_000, help="Replay no more than this a second."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each would come to; change nothing.")
    ] = False,
    yes: Yes = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what cannot succeed as things stand.")
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Keep the manifest in this file, instead of the user's state directory."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Resume the interrupted replay of this manifest; its filters hold."),
    ] = None,
    send_in_doubt: Annotated[
        bool,
        typer.Option(
            "--send-in-doubt",
            help="On resuming, also send what may have been sent already; it bills nothing twice.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send letters back to their queues. A fact that is billed already is never billed again."""
    must_be_confirmable("replay", dry_run=dry_run, yes=yes)
    filters = read_filters(
        ids=ids,
        customer=customer,
        kind=kind,
        reason=reason,
        older_than=older_than,
        newer_than=newer_than,
    )
    installation = opened()
    wanted = ReplayOrder(
        queues=read_queues(installation, queue),
        customer=filters.customer,
        kind=filters.kind,
        reason=filters.reason,
        older_than=filters.older_than,
        newer_than=filters.newer_than,
        limit=limit,
        per_second=rate,
        force=force,
    )
    if resume is not None:
        _must_stand_alone(context)
    left = resume
    if left is None and not dry_run:
        left = _left_behind(installation, wanted, filters.ids, manifest)
    if left is not None:
        with Manifest.resume(left, installation.clock) as opened_manifest:
            _resume(
                installation,
                opened_manifest,
                dry_run=dry_run,
                yes=yes,
                again=send_in_doubt,
                as_json=as_json,
            )
        return
    order = wanted
    if filters.ids:
        scope = find_scope(filters, queue)
        order = wanted.model_copy(update={"queues": scope.queues, "ids": scope.selection.ids})
    if dry_run:
        _report(_plan(installation, order), as_json=as_json, dry_run=True)
        return
    if not yes and not _is_wanted(_plan(installation, order), as_json=as_json):
        return
    office, clock = installation.dead_letters, installation.clock
    with progress(installation, order.queues, "SQS moves") as on_seen:
        moved, queues = office.move(order, on_seen)
    if not queues:
        _report(moved, as_json=as_json, dry_run=False)
        return
    order = order.model_copy(update={"queues": queues})
    path = manifest or ManifestShelf.of_user().place(clock.now())
    with Manifest.begin(path, office.header(order), clock) as begun:
        if manifest is not None:
            _remember(manifest, clock.now())
        _replay(installation, begun, again=False, as_json=as_json, moved=moved)


def _resume(
    installation: OperatorInstallation,
    manifest: Manifest,
    *,
    dry_run: bool,
    yes: bool,
    again: bool,
    as_json: bool,
) -> None:
    order, office = manifest.header.order, installation.dead_letters
    if office.header(order).dead_letter_urls != manifest.header.dead_letter_urls:
        raise BadManifest(f"{manifest.path} belongs to the queues of another installation")
    if manifest.progress.finished:
        raise BadManifest(f"{manifest.path} is finished: nothing is left to resume")
    plan = None
    if dry_run or not yes:
        plan = _plan(installation, order, manifest, again=again)
    if dry_run and plan is not None:
        _report(plan, as_json=as_json, dry_run=True)
        return
    if plan is not None and not _is_wanted(plan, as_json=as_json):
        return
    _replay(installation, manifest, again=again, as_json=as_json)


def _replay(
    installation: OperatorInstallation,
    manifest: Manifest,
    *,
    again: bool,
    as_json: bool,
    moved: ReplayReport | None = None,
) -> None:
    order = manifest.header.order
    errors.print(f"manifest: {manifest.path}", markup=False, soft_wrap=True)
    with (
        progress(installation, order.queues, "replaying") as on_seen,
        Courier(manifest) as courier,
    ):
        report = installation.dead_letters.replay(
            order, on_seen, manifest=manifest, sender=courier, again=again
        )
    if moved is not None:
        report.add(moved)
    _report(report, as_json=as_json, dry_run=False)


def _plan(
    installation: OperatorInstallation,
    order: ReplayOrder,
    manifest: Manifest | None = None,
    *,
    again: bool = False,
) -> ReplayReport:
    with progress(installation, order.queues, "looking") as on_seen:
        return installation.dead_letters.replay(
            order.model_copy(update={"per_second": None}),
            on_seen,
            dry_run=True,
            manifest=manifest,
            again=again,
        )


def _is_wanted(plan: ReplayReport, *, as_json: bool) -> bool:
    report_replay(plan, as_json=False, quiet_json=as_json)
    if not (plan.moved or plan.manifest):
        return False
    typer.confirm(f"Replay {plan.moved:,} letters?", abort=True, err=True)
    return True


def _report(report: ReplayReport, *, as_json: bool, dry_run: bool) -> None:
    report_replay(report, as_json=as_json)
    if report.failed or (report.fates[Fate.SKIPPED] and not dry_run):
        raise typer.Exit(1)


def _left_behind(
    installation: OperatorInstallation,
    wanted: ReplayOrder,
    ids: tuple[str, ...],
    manifest: Path | None,
) -> Path | None:
    """The manifest of this very replay, if it was interrupted.

    Raises:
        BadManifest: another replay of these queues was: it must be ended first, for only its
            manifest knows which letters were sent.
    """
    if manifest is not None and manifest.exists():
        if _is_same(wanted, ids, read_manifest(manifest)[0].order):
            return manifest
        raise BadManifest(f"{manifest} is the manifest of another replay; name a new file")
    urls = installation.dead_letters.header(wanted).dead_letter_urls
    for path, header in ManifestShelf.of_user().unfinished(urls, installation.clock.now()):
        if _is_same(wanted, ids, header.order):
            errors.print("resuming an interrupted replay", soft_wrap=True)
            return path
        raise BadManifest(
            "another replay of these queues was interrupted, or still runs; end it first with dlq "
            f"replay --resume {path}, or remove that file: what it had in hand may go twice then"
        )
    return None


def _remember(manifest: Path, now: datetime) -> None:
    # A user without a home has named a place for want of one.
    with contextlib.suppress(BadManifest):
        ManifestShelf.of_user().remember(manifest, now)


def _is_same(order: ReplayOrder, texts: tuple[str, ...], left: ReplayOrder) -> bool:
    """Whether a replay that names these ids is the one that was left."""
    if left.takes_everything and set(left.queues) <= set(order.queues):
        # SQS itself may have seen to the other queues.
        order = order.model_copy(update={"queues": left.queues})
    if not texts:
        return order == left
    ids = left.ids or frozenset()
    return (
        order.model_copy(update={"ids": left.ids, "queues": left.queues}) == left
        and all(any(each.startswith(text) for each in ids) for text in texts)
        and all(any(each.startswith(text) for text in texts) for each in ids)
    )


def _must_stand_alone(context: typer.Context) -> None:
    for name in context.params:
        source = context.get_parameter_source(name)
        given = source is not None and source.name != "DEFAULT"
        if given and name not in _WITH_RESUME:
            raise typer.BadParameter(
                f"the manifest says which letters and how; leave out --{name.replace('_', '-')}",
                param_hint="--resume",
            )
