"""``preview``: what a month's billing comes to, nothing sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from producers.billing_month import BillingMonth
from worker.commands.opening import open_installation
from worker.commands.options import read_customer, read_month
from worker.commands.printing import AsJson, console, errors, print_json, print_table
from worker.report.wording import ranges
from worker.statement.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from worker.commands.printing import Cell, JsonValue
    from worker.price import Currency
    from worker.statement.statement import Statement

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
    parts, currency = installation.statements, installation.prices.currency
    chosen = parts.customers(wanted) if only is None else [only]
    totals, previews = Totals(), []
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
                "currency": currency.code,
                "customers": [_json(one) for one in previews],
                "totals": _json_totals(totals),
            }
        )
    else:
        _print(wanted, previews, totals, currency, running=wanted.end > now)
    if totals.problems:
        raise typer.Exit(1)


def _print(
    month: BillingMonth,
    previews: Sequence[Statement],
    totals: Totals,
    currency: Currency,
    *,
    running: bool,
) -> None:
    if not previews:
        console.print(f"{month}: no customer has daily rows or billing facts in it")
        return
    money = currency.format
    title = f"{month}{', still running' if running else ''}: what billing comes to, nothing sent"
    print_table(title, _COLUMNS, [_row(one) for one in previews])
    console.print(
        f"{totals.customers:,} customers: storage {money(totals.storage_amount)} for "
        f"averages of {totals.storage_bytes:,} bytes, {totals.runs:,} runs "
        f"{money(totals.file_amount)} for {totals.run_bytes:,} bytes, "
        f"together {money(totals.amount)}",
        soft_wrap=True,
    )
    for one in previews:
        for remark in _remarks(one):
            errors.print(f"{one.customer_id}: {remark}", soft_wrap=True)


def _row(one: Statement) -> tuple[Cell, ...]:
    figures, money = one.figures, one.prices.currency.format
    return (
        one.customer_id,
        0 if figures is None else figures.days,
        len(one.missing),
        None if figures is None else figures.average,
        None if figures is None else figures.peak,
        money(one.storage_amount),
        one.runs.billed,
        one.runs.total_bytes,
        money(one.file_amount),
        money(one.amount),
        None if one.storage is None else f"{one.storage.state}, {one.storage.fact.value:,}",
    )


def _remarks(one: Statement) -> list[str]:
    remarks = []
    if one.problem is not None:
        remarks.append(one.problem)
    if one.skipped is not None:
        remarks.append(f"storage will not be billed: {one.skipped}")
    if one.missing:
        remarks.append(f"no row for {ranges(one.missing)}")
    if one.rows_differ:
        remarks.append("the rows give another average now; the billed value stands")
    if one.runs.left_out:
        remarks.append(f"{one.runs.left_out} runs rejected, refused, skipped or undecided")
    return remarks


def _json(one: Statement) -> JsonValue:
    figures, item = one.figures, one.storage
    return {
        "customerId": one.customer_id,
        "averageStorageBytes": None if figures is None else figures.average,
        "peakStorageBytes": None if figures is None else figures.peak,
        "totalStorageDays": 0 if figures is None else figures.days,
        "missingDays": [day.isoformat() for day in one.missing],
        "fact": None
        if item is None
        else {"state": item.state, "value": item.fact.value, "rowsDiffer": one.rows_differ},
        "runs": one.runs.billed,
        "runBytes": one.runs.total_bytes,
        "runsLeftOut": one.runs.left_out,
        **_amounts(one.storage_amount, one.file_amount, one.amount),
        "skipped": one.skipped,
        "problem": one.problem,
    }


def _json_totals(totals: Totals) -> JsonValue:
    return {
        "customers": totals.customers,
        "storageBytes": totals.storage_bytes,
        "runs": totals.runs,
        "runBytes": totals.run_bytes,
        **_amounts(totals.storage_amount, totals.file_amount, totals.amount),
        "problems": totals.problems,
    }


def _amounts(storage: Decimal, files: Decimal, both: Decimal) -> dict[str, JsonValue]:
    """Amounts as text: a JSON number would be read as a float."""
    return {"storageAmount": str(storage), "fileAmount": str(files), "amount": str(both)}
