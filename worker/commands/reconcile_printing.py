"""What ``reconcile`` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from producers.instant import format_instant
from worker.commands.printing import console, counted, errors, print_json, print_table
from worker.reconciliation.advice import advice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from worker.commands.printing import JsonValue
    from worker.ledger.item import LedgerItem
    from worker.reconciliation.bill import BillFigures
    from worker.reconciliation.finding import Finding
    from worker.reconciliation.line import Line
    from worker.reconciliation.repair import Repaired
    from worker.reconciliation.report import Report
    from worker.stripe_api.invoices import UsageLine

_SHOWN = 3
_ON_MISSING = (
    "customers have daily rows and no billing fact: look at `siftbeam-billing dlq list`, then "
    "`siftbeam-billing reconcile --repair` enqueues their month"
)


def print_report(report: Report) -> None:
    """For people: what differs, why, and what to do."""
    lines = report.lines
    if not lines:
        console.print(f"{report.month}: no customer, no rows and no facts: nothing to compare")
        return
    console.print(
        f"{report.month}, {report.period.start:%Y-%m-%d %H:%M} to "
        f"{report.period.end:%Y-%m-%d %H:%M} UTC: "
        f"{report.agreeing:,} of {len(lines):,} customer meters agree, "
        f"{sum(line.ledger_bytes for line in lines):,} bytes by the ledger",
        soft_wrap=True,
    )
    bills = [bill for line in lines for bill in line.bills]
    if bills:
        console.print(
            f"{sum(1 for bill in bills if bill.agrees):,} of {len(bills):,} bills agree",
            soft_wrap=True,
        )
    recorded = sum(line.confirmed for line in lines), sum(line.invoiced for line in lines)
    if any(recorded):
        console.print(
            f"{counted(recorded[0], 'fact')} confirmed now, {recorded[1]:,} marked invoiced"
        )
    _print_lines([line for line in lines if not line.agrees])
    _print_findings(lines)
    _print_waiting([item for line in lines for item in line.waiting])
    if report.missing:
        print_table(
            "Daily rows and no billing fact", ("customer",), [(each,) for each in report.missing]
        )
    for reason in report.not_compared:
        errors.print(f"not compared: {reason}", soft_wrap=True)
    for reason in report.problems:
        errors.print(reason, soft_wrap=True)
    others = sum(line.other_account for line in lines)
    if others:
        errors.print(f"{others:,} facts of another Stripe account or mode are left out")
    for step in _advice(report):
        console.print(f"- {step}", soft_wrap=True)


def _print_lines(differing: Sequence[Line]) -> None:
    if not differing:
        return
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


def _print_findings(lines: Sequence[Line]) -> None:
    found = [(line, finding) for line in lines for finding in line.findings]
    if not found:
        return
    print_table(
        "On the invoices",
        ("customer", "meter", "finding", "what", "facts"),
        [
            (line.customer_id, line.event_name, finding.kind, finding.text, _names(finding))
            for line, finding in found
        ],
    )


def _names(finding: Finding) -> str | None:
    """The first of the facts; machines get them all."""
    shown = ", ".join(item.identifier for item in finding.facts[:_SHOWN])
    more = len(finding.facts) - _SHOWN
    return (f"{shown} and {more:,} more" if more > 0 else shown) or None


def _print_waiting(waiting: Sequence[LedgerItem]) -> None:
    if not waiting:
        return
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


def print_repaired(repaired: Repaired) -> None:
    """What `--repair` did."""
    console.print(
        f"repaired: {repaired.asked_again:,} due facts enqueued, {repaired.months:,} months "
        f"without a fact enqueued, {repaired.reports:,} reports of refusals enqueued",
        soft_wrap=True,
    )
    if repaired.problem is not None:
        errors.print(f"reports could not be fetched: {repaired.problem}", soft_wrap=True)


def _advice(report: Report) -> tuple[str, ...]:
    steps = advice(report.lines)
    if report.missing:
        steps = (*steps, _ON_MISSING)
    return steps


def print_json_report(report: Report, repaired: Repaired | None) -> None:
    """For machines: everything."""
    print_json(
        {
            "month": str(report.month),
            "from": format_instant(report.period.start),
            "until": format_instant(report.period.end),
            "agree": report.agreeing,
            "differ": len(report.differing),
            "unanswered": report.unanswered,
            "confirmed": sum(line.confirmed for line in report.lines),
            "invoiced": sum(line.invoiced for line in report.lines),
            "missing": list(report.missing),
            "notCompared": list(report.not_compared),
            "lines": [_json(line) for line in report.lines],
            "advice": list(_advice(report)),
            "repaired": None if repaired is None else _json_repaired(repaired),
        }
    )


def _json_repaired(repaired: Repaired) -> JsonValue:
    names = {"asked_again": "askedAgain"}
    return {names.get(name, name): value for name, value in asdict(repaired).items()}


def _json(line: Line) -> JsonValue:
    return {
        "customerId": line.customer_id,
        "meter": line.event_name,
        "facts": line.facts,
        "ledgerBytes": line.ledger_bytes,
        "stripeBytes": line.stripe_bytes,
        "difference": line.difference,
        "agrees": line.agrees,
        "bills": [_json_bill(bill) for bill in line.bills],
        "findings": [_json_finding(finding) for finding in line.findings],
        "waiting": [_json_item(item) for item in line.waiting],
        "otherAccount": line.other_account,
        "problem": line.problem,
    }


def _json_bill(bill: BillFigures) -> JsonValue:
    return {
        "lines": [_json_usage_line(line) for line in bill.lines],
        "facts": bill.facts,
        "ledgerBytes": bill.used_bytes,
        "expectedQuantity": bill.expected,
        "agrees": bill.agrees,
    }


def _json_usage_line(line: UsageLine) -> JsonValue:
    return {
        "invoice": line.invoice_id,
        "status": line.status,
        "price": line.price.id,
        "quantity": _json_quantity(line.quantity),
        "from": format_instant(line.start),
        "until": format_instant(line.end),
    }


def _json_quantity(quantity: Decimal) -> JsonValue:
    """A whole number; text for any other, because a float would not be exact."""
    return int(quantity) if quantity == int(quantity) else str(quantity)


def _json_finding(finding: Finding) -> JsonValue:
    return {
        "kind": finding.kind,
        "differs": finding.differs,
        "text": finding.text,
        "facts": [_json_item(item) for item in finding.facts],
    }


def _json_item(item: LedgerItem) -> JsonValue:
    return {
        "fact": item.fact.key,
        "identifier": item.identifier,
        "state": item.state,
        "bytes": item.fact.value,
        "lastError": item.last_error,
    }
