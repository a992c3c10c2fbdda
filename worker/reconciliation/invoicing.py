"""The invoicing: what a customer's invoices bill, and why usage is on none of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.errors import BillingError
from worker.reconciliation.bill import Bill, spans
from worker.reconciliation.finding import Finding, FindingKind
from worker.reconciliation.line import sent_lately
from worker.stripe_api.reading import NotReadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from worker.clock import Clock
    from worker.ledger.item import LedgerItem
    from worker.reconciliation.inquiry import Inquiry
    from worker.reconciliation.period import Period
    from worker.stripe_api.invoices import UsageLine, UsageLines
    from worker.stripe_api.subscriptions import MeteredItem, Subscriptions

    FactsBetween = Callable[[datetime, datetime], Iterable[LedgerItem]]

# Stripe makes a period's invoice soon after its end, not at once.
_INVOICE_COMES_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Invoiced:
    """What the invoices say of one meter's usage.

    Args:
        bills: what they bill.
        findings: what is wrong with it, or worth knowing.
    """

    bills: tuple[Bill, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """What the invoices say of one customer.

    Args:
        by_meter: by event name.
        not_compared: what the key may not read.
        problem: why Stripe did not answer, where it did not.
    """

    by_meter: Mapping[str, Invoiced]
    not_compared: tuple[str, ...] = ()
    problem: str | None = None


class Invoicing:
    """Holds the counted facts of customers against their invoices and subscriptions.

    Args:
        invoices: what is billed.
        subscriptions: what would be.
        inquiry: asks Stripe, at a rate.
        clock: the time.
    """

    def __init__(
        self,
        *,
        invoices: UsageLines,
        subscriptions: Subscriptions,
        inquiry: Inquiry,
        clock: Clock,
    ) -> None:
        self._invoices = invoices
        self._subscriptions = subscriptions
        self._inquiry = inquiry
        self._clock = clock

    def examine(
        self, customer_id: str, period: Period, counted: Mapping[str, FactsBetween]
    ) -> Examined:
        """Compare a customer's bills over a period.

        Args:
            customer_id: the customer.
            period: what is compared. An invoice that begins before it or ends after it is
                compared over its own time.
            counted: by event name, gives the counted facts stamped from an instant to before
                another.
        """
        try:
            lines = self._inquiry.ask(
                "invoices",
                lambda: self._invoices.usage_lines(customer_id, period.start, period.end),
            )
        except NotReadable as error:
            lines, unread = None, [str(error)]
        except BillingError as error:
            return Examined({}, problem=str(error))
        else:
            unread = []
        by_meter: dict[str, Invoiced] = {}
        loose: dict[str, list[LedgerItem]] = {}
        for event_name, facts in counted.items():
            own = [line for line in lines or () if line.price.event_name == event_name]
            by_meter[event_name] = self._billed(own, facts)
            loose[event_name] = _on_no_line(facts(period.start, period.end), own)
        if not any(loose.values()):
            return Examined(by_meter, tuple(unread))
        try:
            items = self._inquiry.ask(
                "subscriptions", lambda: self._subscriptions.metered_items(customer_id)
            )
        except NotReadable as error:
            return Examined(by_meter, (*unread, str(error)))
        except BillingError as error:
            return Examined(by_meter, tuple(unread), str(error))
        for event_name, facts_on_none in loose.items():
            before = by_meter[event_name]
            own_items = [item for item in items if item.price.event_name == event_name]
            findings = self._explain(facts_on_none, own_items, invoices_read=lines is not None)
            by_meter[event_name] = Invoiced(before.bills, (*before.findings, *findings))
        return Examined(by_meter, tuple(unread))

    def _billed(self, lines: Sequence[UsageLine], facts: FactsBetween) -> Invoiced:
        bills = []
        findings = []
        for together in spans(line for line in lines if not line.void):
            bill = Bill(together)
            bill = Bill(together, tuple(facts(bill.start, bill.end)))
            bills.append(bill)
            if not bill.agrees:
                findings.append(self._disagreement(bill))
        findings.extend(_void(lines, facts))
        prices = {line.price.id: line for bill in bills for line in bill.lines}
        if len(prices) > 1:
            findings.append(_price_change(bills))
        return Invoiced(tuple(bills), tuple(findings))

    def _disagreement(self, bill: Bill) -> Finding:
        now = self._clock.now()
        text = (
            f"{_lines(bill)}, {_span(bill.start, bill.end)}: billed are {bill.quantity:,} units, "
        )
        if bill.expected is None:
            text += f"of different sizes, for {bill.used_bytes:,} bytes by the ledger"
        else:
            text += (
                f"the ledger's {len(bill.facts):,} facts ({bill.used_bytes:,} bytes) come to "
                f"{bill.expected:,}"
            )
        if bill.in_full_each:
            return Finding(FindingKind.BILLED_TWICE, f"{text}; each line bills all of it")
        late = bill.late()
        if late and _explains(bill, late):
            text += "; the facts sent after it was final make up the difference"
        lately = tuple(item for item in bill.facts if sent_lately(item, now))
        short = bill.expected is not None and bill.quantity < bill.expected
        return Finding(
            FindingKind.QUANTITY,
            text,
            late or lately,
            may_settle=bill.finalized_at is None and short and bool(lately),
        )

    def _explain(
        self, facts: Iterable[LedgerItem], items: Sequence[MeteredItem], *, invoices_read: bool
    ) -> Iterator[Finding]:
        """Why facts are on no invoice line; nothing where that is still to come."""
        reasons: dict[tuple[FindingKind, str], list[LedgerItem]] = defaultdict(list)
        for fact in facts:
            reason = self._why_on_none(fact.fact.stamped_at, items, invoices_read=invoices_read)
            if reason is not None:
                reasons[reason].append(fact)
        for (kind, text), unbilled in reasons.items():
            total = sum(item.fact.value for item in unbilled)
            yield Finding(
                kind, f"{len(unbilled):,} facts ({total:,} bytes): {text}", tuple(unbilled)
            )

    def _why_on_none(
        self, stamped_at: datetime, items: Sequence[MeteredItem], *, invoices_read: bool
    ) -> tuple[FindingKind, str] | None:
        covering = [item for item in items if item.covers(stamped_at)]
        if covering:
            if not invoices_read or any(self._still_comes(item, stamped_at) for item in covering):
                return None
            names = ", ".join(sorted({item.subscription_id for item in covering}))
            return (
                FindingKind.NOT_INVOICED,
                f"the period of subscription {names} is over and no invoice bills them",
            )
        ended = [item for item in items if item.ended_before(stamped_at)]
        if ended:
            last = max(ended, key=lambda item: item.ended_at or item.started_at)
            text = (
                f"subscription {last.subscription_id} ended {last.ended_at:%Y-%m-%d %H:%M} UTC, "
                "before their timestamps"
            )
            return FindingKind.SUBSCRIPTION_ENDED, text
        text = "no subscription has an item on a price of the meter"
        if items:
            first = min(items, key=lambda item: item.started_at)
            text = (
                f"subscription {first.subscription_id} ({first.status}) is on the meter only from "
                f"{first.started_at:%Y-%m-%d %H:%M} UTC on, or makes no invoices"
            )
        return FindingKind.NO_SUBSCRIPTION, text

    def _still_comes(self, item: MeteredItem, stamped_at: datetime) -> bool:
        """Whether the invoice over a timestamp may still be made."""
        closed_at = item.ended_at
        if closed_at is None:
            if stamped_at >= item.period_start:
                return True
            closed_at = item.period_start
        return self._clock.now() < closed_at + _INVOICE_COMES_WITHIN


def _on_no_line(facts: Iterable[LedgerItem], lines: Sequence[UsageLine]) -> list[LedgerItem]:
    # A void line stands for itself: it was found, and named.
    return [
        item
        for item in facts
        if item.fact.value > 0 and not any(line.covers(item.fact.stamped_at) for line in lines)
    ]


def _void(lines: Sequence[UsageLine], facts: FactsBetween) -> Iterator[Finding]:
    """The void lines over facts that no other line bills."""
    standing = [line for line in lines if not line.void]
    for line in lines:
        if not line.void:
            continue
        unbilled = tuple(_on_no_line(facts(line.start, line.end), standing))
        if unbilled:
            total = sum(item.fact.value for item in unbilled)
            yield Finding(
                FindingKind.VOID,
                f"invoice {line.invoice_id}, {_span(line.start, line.end)}, is void, and "
                f"{len(unbilled):,} facts ({total:,} bytes) are on no other",
                unbilled,
            )


def _price_change(bills: Sequence[Bill]) -> Finding:
    lines = sorted((line for bill in bills for line in bill.lines), key=lambda line: line.start)
    parts = "; ".join(
        f"{line.price.id} {_span(line.start, line.end)} on {line.invoice_id}" for line in lines
    )
    return Finding(FindingKind.PRICE_CHANGE, f"more than one price in the period: {parts}")


def _explains(bill: Bill, late: Sequence[LedgerItem]) -> bool:
    known = {item.fact.key for item in late}
    in_time = tuple(item for item in bill.facts if item.fact.key not in known)
    return Bill(bill.lines, in_time).agrees


def _lines(bill: Bill) -> str:
    """``invoice in_1 (open), price price_1``, for each line."""
    return " and ".join(
        f"invoice {line.invoice_id} ({line.status}), price {line.price.id}" for line in bill.lines
    )


def _span(start: datetime, end: datetime) -> str:
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
