"""Stripe: what it took, what it counts, shows and reports, and what its invoices bill.

https://docs.stripe.com/api/billing/meter-event/create
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from producers.instant import epoch_seconds, from_epoch
from tests.simulation.stripe_refusals import invalid
from tests.simulation.weather import DAY, HOUR, MINUTE
from worker.stripe_api.error_reports import ErrorReport, NamedRefusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import stripe

    from tests.simulation.departures import Departure
    from tests.simulation.faults import Faults
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather
    from worker.ledger.item import LedgerItem

OLDEST = 35 * DAY
NEWEST = 5 * MINUTE


@dataclass(slots=True)
class CountedEvent:
    """An event that Stripe took. Times are epoch seconds."""

    identifier: str
    customer: str
    event_name: str
    value: int
    timestamp: int
    received_at: float
    shows_at: float
    refused_at: float | None = None
    cancelled: bool = False
    reported: bool = False


@dataclass(frozen=True, slots=True)
class Invoice:
    """A customer's invoice over one month. Times are epoch seconds.

    Args:
        id: Stripe's.
        start: of its period.
        end: of its period: the month's, or the subscription's.
        finalized_at: when it became final; None while it is a draft.
    """

    id: str
    start: float
    end: float
    finalized_at: float | None


class StripeWorld:
    """What Stripe knows.

    Args:
        scheduler: time.
        faults: what goes wrong inside Stripe.
        weather: how often, and how late summaries are.
        final_after: how long after a month's end its invoices become final, in seconds.

    Attributes:
        on_accept: told of each event that is taken.
        on_report: told of each error report that is made.
        departures: the customers who leave.
        longest_until_reported: until a refusal is decided, and until it is reported, in seconds.
    """

    def __init__(
        self, scheduler: Scheduler, faults: Faults, weather: Weather, final_after: float
    ) -> None:
        self.scheduler = scheduler
        self.events: list[CountedEvent] = []
        self.reports: list[ErrorReport] = []
        self.fates: Counter[str] = Counter()
        self.on_accept: Callable[[CountedEvent], None] | None = None
        self.on_report: Callable[[ErrorReport], object] | None = None
        self.departures: Mapping[str, Departure] = {}
        self.longest_until_reported = 2 * HOUR
        self._faults = faults
        self._weather = weather
        self._final_after = final_after
        self._newest: dict[str, CountedEvent] = {}
        self._of: defaultdict[tuple[str, str], list[CountedEvent]] = defaultdict(list)

    def take(self, item: LedgerItem) -> stripe.StripeError | None:
        """An event arrives; returns what Stripe would answer instead of 200."""
        fact, now = item.fact, self.scheduler.now
        if fact.correction is not None and fact.correction.cancels is not None:
            return self._cancel(item, fact.correction.cancels)
        timestamp = epoch_seconds(fact.stamped_at)
        if timestamp < now - OLDEST:
            return invalid("The event timestamp cannot be more than 35 days in past.")
        if timestamp > now + NEWEST:
            return invalid("The event timestamp cannot be more than 5 minutes in the future.")
        if fact.exceeds_stripe:
            return invalid("The value in the event payload can have at most 15 digits.")
        earlier = self._newest.get(item.identifier)
        if earlier is not None and now - earlier.received_at < DAY:
            return invalid(f"An event already exists with identifier {item.identifier}.")
        event = self._count(item)
        faults = self._faults
        if self.deleted(event.customer) or faults.strike("refusal", self._weather.refusals):
            delay = min(HOUR, self.longest_until_reported) * faults.random() ** 3
            self.scheduler.at(now + delay, lambda: self.refuse(event))
        return None

    def _cancel(self, item: LedgerItem, identifier: str) -> stripe.StripeError | None:
        """https://docs.stripe.com/api/billing/meter-event-adjustment/create."""
        event = self._newest.get(identifier)
        if event is None:
            return invalid(f"No meter event found with identifier {identifier}.")
        if self.scheduler.now - event.received_at > DAY:
            return invalid("Meter events can only be cancelled within 24 hours.")
        if event.cancelled:
            return invalid(f"The meter event {identifier} has already been cancelled.")
        event.cancelled = True
        # It takes away what the event added: as if it were an event of its own.
        self._count(item).refused_at = event.refused_at
        return None

    def _count(self, item: LedgerItem) -> CountedEvent:
        fact, now = item.fact, self.scheduler.now
        timestamp = epoch_seconds(fact.stamped_at)
        faults, weather = self._faults, self._weather
        late = 0.0
        if faults.strike("late_summary", weather.late_summary):
            late = weather.latest_summary * faults.random()
        event = CountedEvent(
            identifier=item.identifier,
            customer=fact.customer_id,
            event_name=fact.event_name,
            value=fact.value,
            timestamp=timestamp,
            received_at=now,
            shows_at=now + late,
        )
        self.events.append(event)
        self._newest[item.identifier] = event
        self._of[event.customer, event.event_name].append(event)
        if self.on_accept is not None:
            self.on_accept(event)
        return event

    def refuse(self, event: CountedEvent) -> None:
        """Stop counting an event that was taken, and report it some time later."""
        if event.cancelled:
            return
        now = self.scheduler.now
        event.refused_at = now
        refusal = NamedRefusal(event.identifier, "meter_event_customer_not_found: unknown customer")

        def report() -> None:
            event.reported = True
            made = ErrorReport(
                id=f"evt_{len(self.reports) + 1}",
                created=from_epoch(int(self.scheduler.now)),
                named=(refusal,),
                unnamed=0,
            )
            self.reports.append(made)
            if self.on_report is not None:
                self.on_report(made)

        rare = self._faults.random() < self._weather.very_late_report
        longest = 6 * DAY if rare else self.longest_until_reported
        self.scheduler.at(now + longest * self._faults.random() ** 2, report)

    def summed(self, event_name: str, customer: str, start: int, end: int) -> int:
        """What summaries show, which may lag behind what was taken."""
        now = self.scheduler.now
        if self.hides(customer):
            return 0
        return sum(
            event.value
            for event in self._of.get((customer, event_name), ())
            if start <= event.timestamp < end and event.shows_at <= now and event.refused_at is None
        )

    def invoice(self, customer: str, timestamp: int) -> Invoice | None:
        """The invoice that usage with that timestamp belongs on; None where there is none yet.

        The last one is over the time until the subscription's end, and made then.
        """
        month = BillingMonth.containing(from_epoch(timestamp))
        now, end = self.scheduler.now, min(month.end.timestamp(), self.ends_at(customer))
        if now < end or timestamp >= end:
            return None
        final_at = end + self._final_after
        return Invoice(
            f"in_{customer}_{month}",
            month.start.timestamp(),
            end,
            final_at if now >= final_at else None,
        )

    def ends_at(self, customer: str) -> float:
        """When a customer's subscription ends."""
        leaves = self.departures.get(customer)
        return inf if leaves is None else leaves.ends_at

    def deleted(self, customer: str) -> bool:
        """Whether a customer is deleted by now."""
        leaves = self.departures.get(customer)
        return leaves is not None and leaves.deleted and self.scheduler.now >= leaves.ends_at

    def hides(self, customer: str) -> bool:
        """Whether summaries show nothing of a customer any more."""
        leaves = self.departures.get(customer)
        return leaves is not None and leaves.hides and self.deleted(customer)

    def billed(self, event_name: str, customer: str, invoice: Invoice) -> int:
        """Bytes of a meter that are on an invoice."""
        return sum(
            event.value
            for event in self._of.get((customer, event_name), ())
            if event.refused_at is None and self.reaches(event, invoice)
        )

    def reaches(self, event: CountedEvent, invoice: Invoice) -> bool:
        """Whether an event came while its invoice was a draft."""
        in_time = invoice.finalized_at is None or event.received_at < invoice.finalized_at
        return invoice.start <= event.timestamp < invoice.end and in_time
