"""The advice: what to do about lines that do not agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.ledger.item import OPEN, STUCK
from worker.reconciliation.finding import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.reconciliation.line import Line

_ON_FINDING = {
    FindingKind.QUANTITY: (
        "an invoice bills another quantity than the ledger: while it is a draft, settle what waits "
        "and reconcile again; once it is final, bill or credit the difference on an invoice item"
    ),
    FindingKind.BILLED_TWICE: (
        "several lines bill the same usage: end all but one of the customer's subscription items "
        "on the meter, and void or credit what is too much"
    ),
    FindingKind.VOID: (
        "a void invoice bills nothing: if that was not meant, bill its usage on an invoice item"
    ),
    FindingKind.NOT_INVOICED: (
        "usage whose period is over is on no invoice: look at the customer's invoices in Stripe, "
        "and bill it on an invoice item"
    ),
    FindingKind.NO_SUBSCRIPTION: (
        "usage without a subscription reaches no invoice: subscribe the customer to the meter's "
        "price, backdated to the period's start, or bill it on an invoice item"
    ),
    FindingKind.SUBSCRIPTION_ENDED: (
        "usage stamped after its subscription ended reaches no invoice: bill it on an invoice "
        "item, or leave it"
    ),
}


def advice(lines: Iterable[Line]) -> tuple[str, ...]:
    """What to do about lines that do not agree; nothing for those that do."""
    wanted: dict[str, None] = {}
    for line in lines:
        if not line.agrees:
            wanted.update(dict.fromkeys((*_on_sums(line), *_on_findings(line))))
    return tuple(wanted)


def _on_sums(line: Line) -> Iterator[str]:
    difference = line.difference
    if difference is None or line.problem is not None:
        yield (
            "Stripe did not say everything: see the reason, run `siftbeam-billing doctor`, then "
            "reconcile again"
        )
    if difference is None or difference == 0:
        return
    if any(item.state in OPEN for item in line.waiting):
        yield (
            "facts that are planned, sending or unknown are still being settled: run "
            "`siftbeam-billing resolve`, let the worker finish, then reconcile again"
        )
    if any(item.state in STUCK for item in line.waiting):
        yield (
            "rejected, refused and manual facts wait for a person: `siftbeam-billing dlq list` "
            "says why each one stands still"
        )
    if difference < 0 and line.recent:
        yield (
            "facts were sent within the last 23 hours and Stripe's "
            "summaries may lag that long: reconcile again tomorrow"
        )
    if difference < 0 and not line.recent:
        yield (
            "Stripe counted less than it accepted: an event was cancelled or lost there; compare "
            "the customer's usage in Stripe (Billing, Meters) with the facts, and let a person "
            "bill the difference"
        )
    if difference > 0 and not line.waiting:
        yield (
            "Stripe counted events that the ledger does not hold: look for another sender on this "
            "meter, or for a ledger that was restored from a backup"
        )


def _on_findings(line: Line) -> Iterator[str]:
    for finding in line.findings:
        if finding.kind in _ON_FINDING:
            yield _ON_FINDING[finding.kind]
