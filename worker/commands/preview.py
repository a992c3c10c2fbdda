"""``preview``: what a month's billing comes to, nothing sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from producers.billing_month import BillingMonth
from worker.commands.opening import open_installation
from worker.commands.options import read_customer, read_month
from worker.commands.printing import AsJson, console, errors, print_json, print_table
from worker.preview import CustomerPreview, PreviewTotals
from worker.price import CURRENCY, format_dollars

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from decimal import Decimal

    from worker.commands.printing import Cell, JsonValue

_COLUMNS = (
    "customer",
    "days",
    "missing",
    "average bytes",
    "peak bytes",
    "storage",
    "runs",
    "run bytes",
    "files",
    "total",
    "billed already",
)


def preview(
    month: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the running one.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a month comes to per customer, also of a running month. Nothing is sent."""
    installation = open_installation()
    now = installation.clock.now()
    wanted = BillingMonth.containing(now) if month is None else read_month(month)
    only = read_customer(customer)
    parts = installation.preview
    chosen = parts.customers(wanted) if only is None else [only]
    totals, previews = PreviewTotals(), []
    for one in track(
        parts.of_month(wanted, chosen),
        description=f"preview of {wanted}",
        total=len(chosen),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ):
        totals.add(one)
        previews.append(one)
    if as_json:
        print_json(
            {
                "month": str(wanted),
                "ended": wanted.end <= now,
                "currency": CURRENCY,
                "customers": [_json(one) for one in previews],
                "totals": _json_totals(totals),
            }
        )
    else:
        _print(wanted, previews, totals, running=wanted.end > now)
    if totals.problems:
        raise typer.Exit(1)


def _print(
    month: BillingMonth,
    previews: Sequence[CustomerPreview],
    totals: PreviewTotals,
    *,
    running: bool,
) -> None:
    if not previews:
        console.print(f"{month}: no customer has daily rows or billing facts in it")
        return
    title = f"{month}{', still running' if running else ''}: what billing comes to, nothing sent"
    print_table(title, _COLUMNS, [_row(one) for one in previews])
    console.print(
        f"{totals.customers:,} customers: storage {format_dollars(totals.storage_dollars)} for "
        f"averages of {totals.storage_bytes:,} bytes, {totals.runs:,} runs "
        f"{format_dollars(totals.file_dollars)} for {totals.file_bytes:,} bytes, "
        f"together {format_dollars(totals.dollars)}",
        soft_wrap=True,
    )
    for one in previews:
        for remark in _remarks(one):
            errors.print(f"{one.customer_id}: {remark}", soft_wrap=True)


def _row(one: CustomerPreview) -> tuple[Cell, ...]:
    figures = one.figures
    return (
        one.customer_id,
        0 if figures is None else figures.days,
        len(one.missing),
        None if figures is None else figures.average,
        None if figures is None else figures.peak,
        format_dollars(one.storage_dollars),
        one.files.runs,
        one.files.total_bytes,
        format_dollars(one.file_dollars),
        format_dollars(one.dollars),
        None if one.frozen is None else f"{one.frozen.state}, {one.frozen.value:,}",
    )


def _remarks(one: CustomerPreview) -> list[str]:
    remarks = []
    if one.problem is not None:
        remarks.append(one.problem)
    if one.skipped is not None:
        remarks.append(f"storage will not be billed: {one.skipped}")
    if one.missing:
        remarks.append(f"no row for {_ranges(one.missing)}")
    if one.frozen is not None and one.frozen.differs:
        remarks.append("the rows give another average now; the billed value stands")
    if one.files.left_out:
        remarks.append(f"{one.files.left_out} runs rejected, refused, skipped or undecided")
    return remarks


def _ranges(days: Sequence[date]) -> str:
    """Days as ``2026-10-03 to 2026-10-05, 2026-10-09``."""
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days == 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _json(one: CustomerPreview) -> JsonValue:
    figures, frozen = one.figures, one.frozen
    return {
        "customerId": one.customer_id,
        "averageStorageBytes": None if figures is None else figures.average,
        "peakStorageBytes": None if figures is None else figures.peak,
        "totalStorageDays": 0 if figures is None else figures.days,
        "missingDays": [day.isoformat() for day in one.missing],
        "fact": None
        if frozen is None
        else {"state": frozen.state, "value": frozen.value, "rowsDiffer": frozen.differs},
        "runs": one.files.runs,
        "runBytes": one.files.total_bytes,
        "runsLeftOut": one.files.left_out,
        **_amounts(one.storage_dollars, one.file_dollars, one.dollars),
        "skipped": one.skipped,
        "problem": one.problem,
    }


def _json_totals(totals: PreviewTotals) -> JsonValue:
    return {
        "customers": totals.customers,
        "storageBytes": totals.storage_bytes,
        "runs": totals.runs,
        "runBytes": totals.file_bytes,
        **_amounts(totals.storage_dollars, totals.file_dollars, totals.dollars),
        "problems": totals.problems,
    }


def _amounts(storage: Decimal, files: Decimal, both: Decimal) -> dict[str, JsonValue]:
    """Amounts as text: a JSON number would be read as a float."""
    return {"storageAmount": str(storage), "fileAmount": str(files), "amount": str(both)}
