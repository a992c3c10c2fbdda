"""``reconcile``: the ledger against Stripe, to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from producers.billing_month import BillingMonth
from producers.instant import format_instant
from worker.commands.opening import open_installation
from worker.commands.options import read_customer, read_month
from worker.commands.printing import AsJson, console, errors, print_json, print_table
from worker.reconciliation import Line, Period, advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.commands.printing import JsonValue
    from worker.ledger.item import LedgerItem


def reconcile(
    month: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the last that ended.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the ledger's facts of a month with what Stripe counted, to the byte."""
    installation = open_installation()
    now = installation.clock.now()
    wanted = BillingMonth.ended_before(now) if month is None else read_month(month)
    period = Period.of(wanted, now)
    if period.end <= period.start:
        raise typer.BadParameter(f"{wanted} has not begun", param_hint="--month")
    only = read_customer(customer)
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
    if as_json:
        _print_json(wanted, period, lines)
    else:
        _print(wanted, period, lines)
    if not all(line.agrees for line in lines):
        raise typer.Exit(1)


def _print(month: BillingMonth, period: Period, lines: Sequence[Line]) -> None:
    differing = [line for line in lines if not line.agrees]
    console.print(
        f"{month}, {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC: "
        f"{len(lines) - len(differing):,} of {len(lines):,} customer meters agree, "
        f"{sum(line.ledger_bytes for line in lines):,} bytes by the ledger",
        soft_wrap=True,
    )
    if differing:
        print_table(
            "Not in agreement",
            ("customer", "meter", "facts", "ledger bytes", "Stripe bytes", "difference"),
            [
                (
                    line.customer_id,
                    line.event_name,
                    line.facts,
                    line.ledger_bytes,
                    line.stripe_bytes,
                    line.difference,
                )
                for line in differing
            ],
        )
    waiting = [item for line in lines for item in line.waiting]
    if waiting:
        print_table(
            "Facts that Stripe has not counted, or not for certain",
            ("customer", "identifier", "state", "bytes", "last error"),
            [
                (
                    item.fact.customer_id,
                    item.identifier,
                    item.state,
                    item.fact.value,
                    item.last_error,
                )
                for item in waiting
            ],
        )
    for reason in dict.fromkeys(line.problem for line in differing if line.problem is not None):
        errors.print(reason, soft_wrap=True)
    others = sum(line.other_account for line in lines)
    if others:
        errors.print(f"{others:,} facts of another Stripe account or mode are left out")
    for step in advice(lines):
        console.print(f"- {step}", soft_wrap=True)


def _print_json(month: BillingMonth, period: Period, lines: Sequence[Line]) -> None:
    print_json(
        {
            "month": str(month),
            "from": format_instant(period.start),
            "until": format_instant(period.end),
            "agree": sum(1 for line in lines if line.agrees),
            "differ": sum(1 for line in lines if line.difference not in {0, None}),
            "unanswered": sum(1 for line in lines if line.difference is None),
            "lines": [_json(line) for line in lines],
            "advice": list(advice(lines)),
        }
    )


def _json(line: Line) -> JsonValue:
    return {
        "customerId": line.customer_id,
        "meter": line.event_name,
        "facts": line.facts,
        "ledgerBytes": line.ledger_bytes,
        "stripeBytes": line.stripe_bytes,
        "difference": line.difference,
        "agrees": line.agrees,
        "waiting": [_json_item(item) for item in line.waiting],
        "otherAccount": line.other_account,
        "problem": line.problem,
    }


def _json_item(item: LedgerItem) -> JsonValue:
    return {
        "fact": item.fact.key,
        "identifier": item.identifier,
        "state": item.state,
        "bytes": item.fact.value,
        "lastError": item.last_error,
    }
