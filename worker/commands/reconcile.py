"""``reconcile``: the ledger against Stripe, to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from producers.billing_month import BillingMonth
from worker.commands.opening import open_installation
from worker.commands.options import read_begun_month, read_known_customer
from worker.commands.printing import AsJson, errors
from worker.commands.reconcile_printing import print_json_report, print_repaired, print_report
from worker.reconciliation.period import Period
from worker.reconciliation.repair import repair
from worker.reconciliation.report import Report

if TYPE_CHECKING:
    from worker.reconciliation.line import Line


def reconcile(
    month: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the last that ended.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    mend: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Enqueue what is due and what is missing, and fetch Stripe's error reports.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the ledger's facts of a month with what Stripe counted and bills, to the byte."""
    installation = open_installation()
    now = installation.clock.now()
    wanted = read_begun_month(month, now, BillingMonth.ended_before(now))
    period = Period.of(wanted, now)
    only = read_known_customer(customer, installation.known_customers)
    parts = installation.reconciliation
    chosen = parts.customers(wanted) if only is None else [only]
    lines: list[Line] = []
    for found in track(
        parts.compare(period, chosen),
        description=f"reconciling {wanted}",
        total=len(chosen),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ):
        lines.extend(found)
    report = Report(wanted, period, tuple(lines), parts.missing(wanted, only))
    repaired = repair(report, installation.jobs(), installation.clock) if mend else None
    if as_json:
        print_json_report(report, repaired)
    else:
        print_report(report)
        if repaired is not None:
            print_repaired(repaired)
    if not report.clean:
        raise typer.Exit(1)
