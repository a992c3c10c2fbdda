"""``report``: a month for finance and support."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it from the annotation
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from producers.billing_month import BillingMonth
from worker.commands.opening import open_installation
from worker.commands.options import read_begun_month, read_known_customer
from worker.commands.printing import AsJson, console, counted, errors, print_json, print_table
from worker.report.document import document
from worker.report.file import whole_file
from worker.report.table_file import ENCODING, write_csv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.report.month_report import MonthReport
    from worker.statement.statement import Statement

_SHOWN = 20


def report(  # noqa: PLR0917 - typer passes its options by keyword
    month: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the last that ended.")
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Only this customer: a statement down to the daily rows.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page for people: one file, no network.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a table: a line per customer, the days as columns.")
    ] = None,
    stripe: Annotated[
        bool, typer.Option("--stripe", help="Ask Stripe as well: its sums and its invoices.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Report a month's usage and bills, per customer and day, and how each figure came about."""
    for path, hint in ((html, "--html"), (csv, "--csv")):
        # Before the month is read, which may take long.
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise typer.BadParameter(f"{path} cannot be a file: name one", param_hint=hint)
    installation = open_installation()
    now = installation.clock.now()
    wanted = read_begun_month(month, now, BillingMonth.ended_before(now))
    made = installation.reports.make(
        wanted,
        read_known_customer(customer, installation.known_customers),
        ask_stripe=stripe,
        watched=lambda stream, count: _progress(stream, count, wanted),
    )
    if html is not None:
        # The template engine takes a fifth of a second to load, which no other command is to pay.
        from worker.report.page import render  # noqa: PLC0415

        with whole_file(html) as file:
            file.write(render(made))
    if csv is not None:
        with whole_file(csv, ENCODING) as file:
            write_csv(made, file)
    if as_json:
        print_json(document(made))
    else:
        _print(made)
        for path in (html, csv):
            if path is not None:
                console.print(f"written: {path}", soft_wrap=True)
    if made.needs_a_person:
        raise typer.Exit(1)


def _progress(
    statements: Iterable[Statement], count: int, month: BillingMonth
) -> Iterable[Statement]:
    return track(
        statements,
        description=f"report of {month}",
        total=count,
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def _state(one: Statement) -> str:
    if one.storage is not None:
        return str(one.storage.state)
    return "not billed yet" if one.skipped is None else "not to be billed"


def _print(made: MonthReport) -> None:
    if not made.statements:
        console.print(f"{made.month}: no customer has daily rows or billing facts in it")
        return
    totals, money = made.totals, made.prices.currency.format
    shown = made.by_bill[:_SHOWN]
    largest = f", the {len(shown)} largest bills" if len(shown) < totals.customers else ""
    print_table(
        f"{made.month}{'' if made.ended else ', still running'}{largest}",
        (
            "customer",
            "days",
            "missing",
            "average bytes",
            "storage",
            "runs",
            "files",
            "total",
            "state",
        ),
        [
            (
                one.customer_id,
                len(one.days),
                len(one.missing),
                None if one.basis is None else one.basis.average,
                money(one.storage_amount),
                one.runs.billed,
                money(one.file_amount),
                money(one.amount),
                _state(one),
            )
            for one in shown
        ],
    )
    console.print(
        f"{counted(totals.customers, 'customer')}: storage {money(totals.storage_amount)}, "
        f"{counted(totals.runs, 'run')} {money(totals.file_amount)}, "
        f"together {money(totals.amount)}; "
        f"{counted(totals.missing_days, 'day')} without a row, {made.needs_a_person:,} to be "
        "settled by a person",
        soft_wrap=True,
    )
    for trouble in made.troubles[:_SHOWN]:
        what = "storage" if trouble.item is None else trouble.item.fact.subject
        state = "" if trouble.item is None else f" is {trouble.item.state}"
        reason = trouble.reason or "settled since"
        errors.print(f"{trouble.statement.customer_id} {what}{state}: {reason}", soft_wrap=True)
