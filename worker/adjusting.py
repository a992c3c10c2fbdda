"""Adjusting: correcting or cancelling what was billed, by a person's decision.

Either is a fact of its own in the ledger, written before Stripe is called, and brought to Stripe
like any other. Stripe takes negative quantities
(https://docs.stripe.com/billing/subscriptions/usage-based/meters/configure, "Fix incorrect usage
data"); what a final invoice has billed it does not change any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

import structlog

from producers.billing_month import BillingMonth
from producers.messages import SettleFact
from worker.errors import Permanent
from worker.ledger.corrections import (
    OLDEST_STAMP,
    Corrected,
    same_decision,
    why_not_cancel,
    why_not_correct,
)
from worker.ledger.fact import Correction, Fact, FactKind, StorageBasis
from worker.ledger.item import OPEN, STUCK, State
from worker.ledger.rules import first_item
from worker.settlement import remedy_after_invoice
from worker.usage import month_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from worker.clock import Clock
    from worker.jobs import Jobs
    from worker.ledger.fact import StripeAccount
    from worker.ledger.item import LedgerItem
    from worker.ledger.store import Ledger
    from worker.stripe_api.invoices import Invoices
    from worker.tables.daily import DailyTable

_log = structlog.get_logger()
_MINUTE = timedelta(minutes=1)


class NotAdjusted(Permanent):
    """The fact may not be corrected or cancelled; says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided, and why.

    Args:
        by: a person's name or address.
        why: the reason, for the auditor.
    """

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is about to be written, or stands already.

    Args:
        corrected: the fact, as it stands.
        fact: the correction or cancellation.
        standing: its item where the same was decided before; None where it is new.
    """

    corrected: Corrected
    fact: Fact
    standing: LedgerItem | None = None


class Adjusting:
    """Writes corrections and cancellations.

    Args:
        ledger: where facts stand.
        daily: the rows a month is averaged from.
        invoices: tells whether a correction would come too late.
        account: says whose key is in use.
        customer_problem: why Stripe would not count a customer's usage, or None.
        jobs: puts the new fact on its queue.
        clock: the time.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        daily: DailyTable,
        invoices: Invoices,
        account: Callable[[], StripeAccount],
        customer_problem: Callable[[str], str | None],
        jobs: Jobs,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._daily = daily
        self._invoices = invoices
        self._account = account
        self._customer_problem = customer_problem
        self._jobs = jobs
        self._clock = clock

    def correction(
        self, key: str, value: int, decision: Decision, *, another: bool = False
    ) -> Adjustment:
        """A correction of a fact by so many bytes, more or (negative) fewer.

        Said twice, it is the same correction, unless ``another`` is wanted.

        Raises:
            NotAdjusted: it may not be; says why.
            StripeUnavailable: Stripe cannot be asked now.
        """
        return self._correction(self._corrected(key), value, decision, None, another=another)

    def to_rows(self, key: str, decision: Decision) -> Adjustment:
        """A correction of a month to what its daily rows come to now.

        Raises:
            NotAdjusted: the fact is no month, or the rows come to what is billed.
            MalformedRow: a row makes no sense.
            StripeUnavailable: Stripe cannot be asked now.
        """
        corrected = self._corrected(key)
        fact = corrected.item.fact
        if fact.kind is not FactKind.STORAGE or fact.basis is None:
            raise NotAdjusted(f"{key} is no month of storage; say the bytes by --bytes")
        rows = [
            row
            for row in self._daily.month(fact.customer_id, BillingMonth.parse(fact.subject))
            if row.day <= fact.stamped_at.date()
        ]
        if not rows:
            raise NotAdjusted(f"{key}: the month has no daily rows any more")
        settled = set(fact.basis.days).union(
            *(item.fact.basis.days for item in corrected.corrections if item.fact.basis)
        )
        figures = month_figures((row.total_bytes for row in rows), fact.basis.calendar_days)
        basis = StorageBasis(
            days=tuple(row.day.day for row in rows if row.day.day not in settled),
            total_bytes=figures.total,
            peak_bytes=figures.peak,
        )
        for earlier in corrected.corrections:
            if earlier.state in OPEN and earlier.fact.basis is not None:
                return Adjustment(corrected, earlier.fact, earlier)
            self._refuse(key, _why_not_to_rows(earlier))
        value = figures.average - corrected.billed_bytes
        if value == 0:
            raise NotAdjusted(f"{key}: its rows come to the {figures.average:,} bytes billed")
        return self._correction(corrected, value, decision, basis, another=True)

    def cancellation(self, key: str, decision: Decision) -> Adjustment:
        """The cancellation of a fact's meter event, within 24 hours.

        Raises:
            NotAdjusted: it may not be; says why.
            StripeUnavailable: Stripe cannot be asked now.
        """
        corrected = self._corrected(key)
        item = corrected.item
        fact = replace(
            item.fact,
            value=-item.fact.value,
            basis=None,
            correction=Correction(key, 0, decision.by, decision.why, cancels=item.identifier),
        )
        if corrected.cancellation is not None:
            return Adjustment(corrected, corrected.cancellation.fact, corrected.cancellation)
        self._refuse(key, why_not_cancel(corrected, self._clock.now()))
        self._check_account(corrected)
        self._check_invoice(fact, item.fact.stamped_at)
        return Adjustment(corrected, _asked_for_by_key(fact))

    def begin(self, adjustment: Adjustment) -> LedgerItem:
        """Write a new adjustment down and enqueue it; one that stands is enqueued if it is open.

        Raises:
            NotAdjusted: somebody else decided otherwise meanwhile; nothing was written.
        """
        if adjustment.standing is not None:
            item = adjustment.standing
        else:
            item = self._ledger.freeze(first_item(adjustment.fact, self._clock.now()))
            if item.fact.correction != adjustment.fact.correction:
                raise NotAdjusted(
                    f"{item.fact.key} was written by somebody else meanwhile; look at it, then "
                    "decide anew"
                )
            _log.info(
                "an adjustment is written down",
                action="fact_adjusted",
                fact=item.fact.key,
                corrects=adjustment.corrected.item.fact.key,
                bytes=item.fact.value,
            )
        if item.state in OPEN:
            self._jobs.ask_again([item])
        return item

    def _correction(
        self,
        corrected: Corrected,
        value: int,
        decision: Decision,
        basis: StorageBasis | None,
        *,
        another: bool,
    ) -> Adjustment:
        item = corrected.item
        key = item.fact.key
        if not another and same_decision(corrected.corrections, value, decision.by, decision.why):
            last = corrected.corrections[-1]
            return Adjustment(corrected, last.fact, last)
        self._refuse(key, why_not_correct(corrected, value))
        self._refuse(key, self._customer_problem(item.fact.customer_id))
        self._check_account(corrected)
        stamped_at = self._free_minute(item.fact, value)
        fact = replace(
            item.fact,
            value=value,
            stamped_at=stamped_at,
            account=item.fact.account.completed_by(self._account()),
            basis=basis,
            correction=Correction(key, corrected.next_number, decision.by, decision.why),
        )
        self._check_invoice(fact, stamped_at)
        return Adjustment(corrected, _asked_for_by_key(fact))

    def _corrected(self, key: str) -> Corrected:
        item = self._ledger.find(key)
        if item is None:
            raise NotAdjusted(f"the ledger has no fact {key}; `report` and `dlq show` name facts")
        return self._ledger.corrected(item)

    def _refuse(self, key: str, reason: str | None) -> None:
        if reason is not None:
            raise NotAdjusted(f"{key} cannot be adjusted: {reason}")

    def _check_account(self, corrected: Corrected) -> None:
        fact = corrected.item.fact
        if fact.account.contradicts(self._account()):
            raise NotAdjusted(f"{fact.key} belongs to another Stripe account than the key in use")

    def _check_invoice(self, fact: Fact, stamped_at: datetime) -> None:
        invoice = self._invoices.final_for(
            fact.customer_id, fact.event_name, stamped_at, self._clock.now()
        )
        if invoice is not None:
            raise NotAdjusted(
                f"{fact.correction and fact.correction.of} cannot be adjusted: invoice {invoice} "
                "of its period is final, so Stripe would count this and bill it to nobody. "
                f"{remedy_after_invoice(fact.value)} ({fact.value:+,} bytes)"
            )

    def _free_minute(self, fact: Fact, value: int) -> datetime:
        """A minute of the fact's month, close to its own, that no fact of its meter has.

        Stripe's summaries tell minutes apart: in one of its own a correction can be confirmed.

        Raises:
            NotAdjusted: there is none that Stripe would take.
        """
        own = fact.stamped_at.replace(second=0, microsecond=0)
        month, now = BillingMonth.containing(own), self._clock.now()
        first, last = max(month.start, now - OLDEST_STAMP), min(month.end - _MINUTE, now)
        taken: dict[datetime, set[datetime]] = {}
        for minute in chain(_minutes(own, first, -_MINUTE), _minutes(own, last, _MINUTE)):
            day = minute.replace(hour=0, minute=0)
            if day not in taken:
                taken[day] = {
                    item.fact.stamped_at.replace(second=0, microsecond=0)
                    for item in self._ledger.stamped_between(
                        fact.customer_id, fact.kind, day, day + timedelta(days=1)
                    )
                }
            if first <= minute <= last and minute not in taken[day]:
                return minute
        raise NotAdjusted(
            f"{fact.key} cannot be adjusted: Stripe takes timestamps of the last 35 days, and its "
            f"month has no free minute in them. {remedy_after_invoice(value)}"
        )


def _minutes(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    """The minutes after ``start`` in one direction, to ``end`` and not past it."""
    minute = start + step
    while (end - minute) / step >= 0:
        yield minute
        minute += step


def _why_not_to_rows(earlier: LedgerItem) -> str | None:
    """Why a month may not be corrected to its rows after an earlier correction."""
    if earlier.state in OPEN:
        return (
            f"{earlier.fact.key} is {earlier.state}, and counts once Stripe has it: say "
            "--from-rows then"
        )
    if earlier.state is State.MANUAL:
        return (
            f"Stripe may count {earlier.fact.key}, or not: compare the customer's usage in Stripe, "
            "then say the bytes by --bytes"
        )
    if earlier.state in STUCK and earlier.fact.basis is not None:
        return (
            f"{earlier.fact.key} is to do that and is {earlier.state}: mend the cause and send it "
            "anew by `resend`, or say the bytes by --bytes"
        )
    return None


def _asked_for_by_key(fact: Fact) -> Fact:
    return replace(fact, origin=SettleFact(fact=fact.key).body())
