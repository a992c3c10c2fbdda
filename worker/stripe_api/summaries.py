"""Stripe's event summaries: what a meter counted for a customer.

https://docs.stripe.com/api/billing/meter-event-summary/list: eventually consistent, on minute
boundaries, and ``aggregated_value`` is a double.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import stripe

from producers.instant import epoch_seconds
from worker.errors import Permanent
from worker.stripe_api.connection import StripeUnavailable, describe

if TYPE_CHECKING:
    from worker.stripe_api.connection import StripeConnection

MINUTE = timedelta(minutes=1)
# Doubles hold every whole number up to here exactly.
_EXACT_BELOW = 2**53
_RETRIES = 2
_PAGE = 100


class NoMeter(Permanent):
    """Stripe has no active meter with that event name."""


class InexactSummary(Permanent):
    """One minute holds more than a double can tell exactly, or part of a byte."""


class Summaries(Protocol):
    """Says what Stripe counted."""

    def counted(self, event_name: str, customer_id: str, start: datetime, end: datetime) -> int:
        """Bytes counted for a customer from ``start`` (inclusive) to ``end`` (exclusive)."""
        ...


class StripeSummaries:
    """Asks Stripe's summaries.

    Args:
        connection: gives the client.
    """

    def __init__(self, connection: StripeConnection) -> None:
        self._connection = connection
        self._meter_ids: dict[str, str] = {}
        self._lock = threading.Lock()

    def counted(self, event_name: str, customer_id: str, start: datetime, end: datetime) -> int:
        """Bytes counted for a customer from ``start`` (inclusive) to ``end`` (exclusive).

        Both lie on whole minutes. A customer unknown to Stripe has none.

        Raises:
            StripeUnavailable: Stripe did not answer.
            NoMeter: no active meter has that event name.
            InexactSummary: the sum of a single minute cannot be told exactly.
        """
        meter = self._meter_id(event_name)
        value = self._ask(meter, customer_id, start, end)
        if value < _EXACT_BELOW:
            return value
        minutes = (end - start) // MINUTE
        if minutes <= 1:
            raise InexactSummary(
                f"{customer_id}, {event_name}, minute {start.isoformat()}: Stripe's summary is "
                f"about {value} bytes, more than it can tell exactly"
            )
        middle = start + MINUTE * (minutes // 2)
        return self.counted(event_name, customer_id, start, middle) + self.counted(
            event_name, customer_id, middle, end
        )

    def _ask(self, meter: str, customer_id: str, start: datetime, end: datetime) -> int:
        client = self._connection.keyed_client().client
        try:
            page = client.v1.billing.meters.event_summaries.list(
                meter,
                {
                    "customer": customer_id,
                    "start_time": epoch_seconds(start),
                    "end_time": epoch_seconds(end),
                    "limit": _PAGE,
                },
                {"max_network_retries": _RETRIES},
            )
            # Exact: a double is a fraction, and a sum of whole bytes is a whole one.
            total = sum(
                (Fraction(summary.aggregated_value) for summary in page.auto_paging_iter()),
                Fraction(0),
            )
        except stripe.InvalidRequestError as error:
            if error.param == "customer":
                return 0
            raise StripeUnavailable(f"Stripe's summaries: {describe(error)}") from None
        except stripe.StripeError as error:
            raise StripeUnavailable(f"Stripe's summaries: {describe(error)}") from None
        if total.denominator != 1:
            raise InexactSummary(
                f"{customer_id}: Stripe counted {total} bytes between {start.isoformat()} and "
                f"{end.isoformat()}, which is no whole number"
            )
        return total.numerator

    def _meter_id(self, event_name: str) -> str:
        with self._lock:
            known = self._meter_ids.get(event_name)
        if known is not None:
            return known
        client = self._connection.keyed_client().client
        try:
            meters = client.v1.billing.meters.list(
                {"status": "active", "limit": _PAGE}, {"max_network_retries": _RETRIES}
            )
            found = {meter.event_name: meter.id for meter in meters.auto_paging_iter()}
        except stripe.StripeError as error:
            raise StripeUnavailable(f"Stripe's meters: {describe(error)}") from None
        with self._lock:
            self._meter_ids.update(found)
        if event_name not in found:
            raise NoMeter(
                f"Stripe has no active meter with event name {event_name}; create it, or set the "
                "event names in the settings to those in Stripe"
            )
        return found[event_name]
