"""The reconciliation: the ledger's counted facts against what Stripe counted, to the byte."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from producers.identity import check_customer_id
from worker.call_rate import CallRate
from worker.crew import worked_through
from worker.errors import BillingError
from worker.ledger.item import OPEN, STUCK, LedgerItem, State
from worker.stripe_api.connection import StripeUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from producers.billing_month import BillingMonth
    from worker.clock import Clock
    from worker.ledger.fact import FactKind, StripeAccount
    from worker.ledger.store import Ledger
    from worker.stripe_api.summaries import Summaries
    from worker.tables.daily import DailyTable

# Stripe allows 25 calls a second to this endpoint in a sandbox; the worker needs some of them.
# https://docs.stripe.com/rate-limits
_CALLS_PER_SECOND = 20
_THREADS = 4
# A Stripe that is down is not asked ten thousand times.
_GIVE_UP_AFTER = 5
# Summaries are eventually consistent; this long at most is assumed.
SUMMARIES_LAG = timedelta(hours=23)


@dataclass(frozen=True, slots=True)
class Period:
    """What is compared: from ``start`` (inclusive) to ``end`` (exclusive), whole minutes, UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, month: BillingMonth, now: datetime) -> Period:
        """A month; of a running one, what has passed."""
        start = datetime.combine(month.first_day, time.min, tzinfo=UTC)
        return cls(start, min(month.end, now.replace(second=0, microsecond=0)))


@dataclass(frozen=True, slots=True)
class Line:
    """One customer and meter, compared.

    Args:
        customer_id: the customer.
        event_name: the meter's.
        facts: how many facts the ledger holds as counted by Stripe.
        ledger_bytes: their sum.
        stripe_bytes: what Stripe's summaries say; None where that could not be had.
        waiting: the facts that are not counted, or not for certain, and may explain a difference.
        recent: counted facts sent so lately that the summaries may not show them yet.
        other_account: facts of another Stripe account or mode, left out.
        problem: why Stripe's sum could not be had.
    """

    customer_id: str
    event_name: str
    facts: int = 0
    ledger_bytes: int = 0
    stripe_bytes: int | None = None
    waiting: tuple[LedgerItem, ...] = ()
    recent: int = 0
    other_account: int = 0
    problem: str | None = None

    @property
    def difference(self) -> int | None:
        """Stripe's bytes less the ledger's: below zero where Stripe counted too little."""
        return None if self.stripe_bytes is None else self.stripe_bytes - self.ledger_bytes

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.difference == 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """Stripe's sum, or why there is none."""

    counted: int | None
    problem: str | None = None


class Reconciliation:
    """Compares a period of the ledger with Stripe's summaries.

    Args:
        ledger: the facts.
        summaries: what Stripe counted.
        account: whose key is in use.
        customers: the ids of all customers, by the source that the settings name.
        daily: knows the customers with rows in a month.
        event_names: the meters' event names by kind of fact.
        clock: the time.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        summaries: Summaries,
        account: Callable[[], StripeAccount],
        customers: Callable[[], Iterable[str]],
        daily: DailyTable,
        event_names: Mapping[FactKind, str],
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._summaries = summaries
        self._account = account
        self._customers = customers
        self._daily = daily
        self._event_names = event_names
        self._clock = clock
        self._rate = CallRate(clock, _CALLS_PER_SECOND)
        self._unanswered = 0
        self._lock = threading.Lock()

    def customers(self, month: BillingMonth) -> list[str]:
        """Every customer of the source and every one with daily rows in the month, by id.

        An id that can be nobody's has no facts, and is left out.
        """
        found = {*self._customers(), *self._daily.customers(month)}
        return sorted(customer for customer in found if _can_exist(customer))

    def compare(self, period: Period, customers: Iterable[str]) -> Iterator[Sequence[Line]]:
        """Each customer's lines, in their order: one per meter; a stream.

        Raises:
            StripeUnavailable: Stripe would not even say whose key this is.
            KeyUnavailable: there is no key.
        """
        account = self._account()
        return worked_through(
            customers,
            lambda customer: self._compare(customer, period, account),
            threads=_THREADS,
        )

    def _compare(self, customer_id: str, period: Period, account: StripeAccount) -> list[Line]:
        lines = []
        for kind, event_name in self._event_names.items():
            # Stripe first: what is sent in between then shows as recent, never as unheard of.
            answers = {event_name: self._ask(event_name, customer_id, period)}
            facts: dict[str, list[LedgerItem]] = defaultdict(list, {event_name: []})
            for item in self._ledger.stamped_between(customer_id, kind, period.start, period.end):
                facts[item.fact.event_name].append(item)
            for name, items in facts.items():
                if name not in answers:
                    answers[name] = self._ask(name, customer_id, period)
                lines.append(self._line(customer_id, name, items, answers[name], account))
        return lines

    def _line(
        self,
        customer_id: str,
        event_name: str,
        items: Iterable[LedgerItem],
        answer: _Answer,
        account: StripeAccount,
    ) -> Line:
        ours, others = [], 0
        for item in items:
            if item.fact.account.contradicts(account):
                others += 1
            else:
                ours.append(item)
        counted = [item for item in ours if item.counted]
        lately = self._clock.now() - SUMMARIES_LAG
        return Line(
            customer_id,
            event_name,
            facts=len(counted),
            ledger_bytes=sum(item.fact.value for item in counted),
            stripe_bytes=answer.counted,
            waiting=tuple(item for item in ours if item.state in OPEN | STUCK),
            recent=sum(
                1
                for item in counted
                if item.state is State.SENT and item.sent_at is not None and item.sent_at > lately
            ),
            other_account=others,
            problem=answer.problem,
        )

    def _ask(self, event_name: str, customer_id: str, period: Period) -> _Answer:
        with self._lock:
            if self._unanswered >= _GIVE_UP_AFTER:
                return _Answer(None, f"not asked: Stripe failed to answer {_GIVE_UP_AFTER} times")
        self._rate.wait()
        try:
            counted = self._summaries.counted(event_name, customer_id, period.start, period.end)
        except StripeUnavailable as error:
            with self._lock:
                self._unanswered += 1
            return _Answer(None, str(error))
        except BillingError as error:
            return _Answer(None, str(error))
        return _Answer(counted)


def advice(lines: Iterable[Line]) -> tuple[str, ...]:
    """What to do about lines that do not agree; nothing for those that do."""
    wanted: dict[str, None] = {}
    for line in lines:
        if not line.agrees:
            wanted.update(dict.fromkeys(_advice(line)))
    return tuple(wanted)


def _advice(line: Line) -> Iterator[str]:
    if line.difference is None:
        yield (
            "Stripe's sum could not be had: see the reason, run `siftbeam-billing doctor`, then "
            "reconcile again"
        )
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
    if line.difference < 0 and line.recent:
        yield (
            "facts were sent within the last 23 hours and Stripe's "
            "summaries may lag that long: reconcile again tomorrow"
        )
    if line.difference < 0 and not line.recent:
        yield (
            "Stripe counted less than it accepted: an event was cancelled or lost there; compare "
            "the customer's usage in Stripe (Billing, Meters) with the facts, and let a person "
            "bill the difference"
        )
    if line.difference > 0 and not line.waiting:
        yield (
            "Stripe counted events that the ledger does not hold: look for another sender on this "
            "meter, or for a ledger that was restored from a backup"
        )


def _can_exist(customer_id: str) -> bool:
    try:
        check_customer_id(customer_id)
    except ValueError:
        return False
    return True
