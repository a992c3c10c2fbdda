"""``preview``: what a month's billing comes to, nothing sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from producers.billing_month import BillingMonth
from worker.commands.opening import open_installation
from worker.commands.options import read_begun_month, read_known_customer
from worker.commands.printing import AsJson, console, counted, errors, print_json, print_table
from worker.report.wording import ranges
from worker.statement.change import Change
from worker.statement.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from worker.commands.printing import Cell, JsonValue
    from worker.price import Currency
    from worker.statement.statement import Statement
    from worker.stripe_api.own_prices import OwnAmounts

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
    "change",
    "billed already",
)


@dataclass(frozen=True)
class _Line:
    """A customer's month, the one before, and what Stripe makes of it where it was asked."""

    change: Change
    own: OwnAmounts | None = None

    @property
    def one(self) -> Statement:
        return self.change.statement


def preview(
    *,
    month: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the running one.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    stripe: Annotated[
        bool,
        typer.Option(
            "--stripe", help="Ask Stripe for each customer's own price and upcoming invoice."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a month comes to per customer, also of a running month. Nothing is sent."""
    installation = open_installation()
    now = installation.clock.now()
    wanted = read_begun_month(month, now, BillingMonth.containing(now))
    only = read_known_customer(customer, installation.known_customers)
    parts, currency = installation.statements, installation.prices.currency
    running = wanted.end > now
    own = installation.own_amounts if stripe else None
    totals, lines = Totals(), []
    stream: Iterable[tuple[Statement, Statement]]
    if only is None:
        of_month, of_previous = parts.of_month(wanted), parts.of_month(wanted.previous)
        chosen = of_month.customers
        stream = zip(of_month.stream(chosen), of_previous.stream(chosen), strict=True)
    else:
        chosen = [only]
        stream = [(parts.of_customer(only, wanted), parts.of_customer(only, wanted.previous))]
    for one, before in track(
        stream,
        description=f"preview of {wanted}",
        total=len(chosen),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ):
        totals.add(one)
        lines.append(_Line(Change(one, before, running), None if own is None else own(one)))
    if as_json:
        print_json(
            {
                "month": str(wanted),
                "ended": not running,
                "currency": currency.code,
                "customers": [_json(line) for line in lines],
                "totals": _json_totals(totals),
            }
        )
    else:
        _print(wanted, lines, totals, currency, running=running)
    if totals.problems or any(line.change.beyond_stripe for line in lines):
        raise typer.Exit(1)


def _print(
    month: BillingMonth,
    lines: Sequence[_Line],
    totals: Totals,
    currency: Currency,
    *,
    running: bool,
) -> None:
    if not lines:
        console.print(f"{month}: no customer has daily rows or billing facts in it")
        return
    money = currency.format
    title = f"{month}{', still running' if running else ''}: what billing comes to, nothing sent"
    asked = any(line.own is not None for line in lines)
    columns = (*_COLUMNS, "at own price", "Stripe's preview") if asked else _COLUMNS
    print_table(title, columns, [_row(line, asked=asked) for line in lines])
    console.print(
        f"{counted(totals.customers, 'customer')}: storage {money(totals.storage_amount)} for "
        f"averages of {totals.storage_bytes:,} bytes, {counted(totals.runs, 'run')} "
        f"{money(totals.file_amount)} for {totals.run_bytes:,} bytes, "
        f"together {money(totals.amount)}",
        soft_wrap=True,
    )
    for line in lines:
        for remark in _remarks(line):
            errors.print(f"{line.one.customer_id}: {remark}", soft_wrap=True)
    for pause, waiting in Counter(line.one.paused for line in lines if line.one.paused).items():
        errors.print(
            f"{counted(waiting, 'customer')} to be billed after `resume`: {pause}", soft_wrap=True
        )


def _row(line: _Line, *, asked: bool) -> tuple[Cell, ...]:
    one = line.one
    figures, money = one.figures, one.prices.currency.format
    change = line.change
    sign = "+" if change.difference > 0 else ""
    cells: tuple[Cell, ...] = (
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
        f"{sign}{money(change.difference)}{' !' if change.outlier else ''}",
        None if one.storage is None else f"{one.storage.state}, {one.storage.fact.value:,}",
    )
    return (*cells, *_own_cells(line.own)) if asked else cells


def _own_cells(own: OwnAmounts | None) -> tuple[Cell, Cell]:
    if own is None or own.currency is None:
        return "no subscription", None
    return (
        "in tiers" if own.amount is None else f"{own.amount} {own.currency}",
        None if own.upcoming is None else f"{own.upcoming} {own.currency}",
    )


def _remarks(line: _Line) -> list[str]:
    one, remarks = line.one, []
    if line.change.beyond_stripe is not None:
        remarks.append(line.change.beyond_stripe)
    if line.change.outlier is not None:
        remarks.append(f"stands out: {line.change.outlier}")
    if one.problem is not None:
        remarks.append(one.problem)
    if one.skipped is not None:
        remarks.append(f"storage will not be billed: {one.skipped}")
    if one.missing:
        remarks.append(f"no row for {ranges(one.missing)}")
    late = [row.day for row in one.days if row.measured_late]
    if late:
        remarks.append(f"what was held later stands in for {ranges(late)}")
    if one.rows_differ:
        remarks.append("the rows give another average now; the billed value stands")
    if one.runs.left_out:
        remarks.append(f"{one.runs.left_out} runs rejected, refused, skipped or undecided")
    return remarks


def _json(line: _Line) -> JsonValue:
    one, own = line.one, line.own
    figures, item = one.figures, one.storage
    return {
        "customerId": one.customer_id,
        "averageStorageBytes": None if figures is None else figures.average,
        "peakStorageBytes": None if figures is None else figures.peak,
        "totalStorageDays": 0 if figures is None else figures.days,
        "missingDays": [day.isoformat() for day in one.missing],
        "lateDays": [row.day.isoformat() for row in one.days if row.measured_late],
        "fact": None
        if item is None
        else {"state": item.state, "value": item.fact.value, "rowsDiffer": one.rows_differ},
        "runs": one.runs.billed,
        "runBytes": one.runs.total_bytes,
        "runsLeftOut": one.runs.left_out,
        **_amounts(one.storage_amount, one.file_amount, one.amount),
        "change": str(line.change.difference),
        "outlier": line.change.outlier,
        "beyondStripe": line.change.beyond_stripe,
        "own": None
        if own is None
        else {
            "currency": own.currency,
            "amount": None if own.amount is None else str(own.amount),
            "upcoming": None if own.upcoming is None else str(own.upcoming),
        },
        "skipped": one.skipped,
        "paused": one.paused,
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
