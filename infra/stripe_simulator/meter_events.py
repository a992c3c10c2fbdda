"""Meter events and their cancellation.

Sources:
    https://docs.stripe.com/api/billing/meter-event/create (identifier, timestamp, payload)
    https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api (whole numbers,
        negative ones too; one call at a time per customer and meter)
    https://docs.stripe.com/changelog/dahlia/2026-04-22/billing-meter-event-values-validation
        (15 significant digits)
    https://docs.stripe.com/api/billing/meter-event-adjustment/create (cancel within 24 hours)
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.customers import Customers
from infra.stripe_simulator.error_reports import ErrorReports, Refusal
from infra.stripe_simulator.errors import ApiError, ControlError, invalid, missing
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.meters import Meter, Meters

DAY = 24 * 60 * 60
_OLDEST = 35 * DAY
_NEWEST = 5 * 60
_LONGEST_IDENTIFIER = 100
_MOST_DIGITS = 15
_WHOLE = re.compile(r"-?[0-9]+\Z")


@dataclass(slots=True)
class MeterEvent:
    """An accepted event. Times are epoch seconds.

    Attributes:
        value: The usage; 1 for a meter that counts.
        text: The value as it was sent.
        offers: How often it was sent, duplicates included.
        refused: The code under which it was refused after acceptance.
        refused_at: When it stopped counting.
        cancelled_at: When it was cancelled.
        invoices: The final invoices that bill it.
    """

    identifier: str
    event_name: str
    meter: str
    customer: str
    value: int
    text: str
    timestamp: int
    received_at: int
    livemode: bool
    offers: int = 1
    refused: str | None = None
    refused_at: int | None = None
    cancelled_at: int | None = None
    invoices: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        """Neither refused nor cancelled."""
        return self.refused_at is None and self.cancelled_at is None


class MeterEvents:
    """Every event ever accepted, found by identifier or by meter and customer."""

    def __init__(
        self, ids: Ids, meters: Meters, customers: Customers, reports: ErrorReports
    ) -> None:
        self._ids = ids
        self._meters = meters
        self._customers = customers
        self._reports = reports
        self._all: list[MeterEvent] = []
        self._newest: dict[str, MeterEvent] = {}
        self._usage: defaultdict[tuple[str, str], list[MeterEvent]] = defaultdict(list)

    def create(self, call: Call) -> Json:
        """`POST /v1/billing/meter_events`."""
        form = call.form
        form.only("event_name", "payload", "identifier", "timestamp")
        event_name = form.required("event_name")
        payload = form.mapping("payload")
        if not payload:
            raise missing("payload")
        timestamp = _timestamp(call)
        identifier = _identifier(call)
        meter = self._meter(event_name)
        customer = payload.get(meter.customer_key)
        if not customer:
            raise invalid(
                f"The payload names no customer under {meter.customer_key}.",
                f"payload[{meter.customer_key}]",
                "meter_event_no_customer_defined",
            )
        value, text = _value(meter, payload)
        identifier = identifier or self._ids.next("idmp")
        self._refuse_duplicate(identifier, call.now)
        event = MeterEvent(
            identifier=identifier,
            event_name=event_name,
            meter=meter.id,
            customer=customer,
            value=value,
            text=text,
            timestamp=timestamp,
            received_at=call.now,
            livemode=call.livemode,
        )
        self._all.append(event)
        self._newest[identifier] = event
        self._usage[meter.id, customer].append(event)
        if not self._customers.usable(customer):
            self._turn_down(event, "meter_event_customer_not_found", call.now)
        return {
            "object": "billing.meter_event",
            "created": call.now,
            "event_name": event_name,
            "identifier": identifier,
            "livemode": call.livemode,
            "payload": payload,
            "timestamp": timestamp,
        }

    def cancel(self, call: Call) -> Json:
        """`POST /v1/billing/meter_event_adjustments`."""
        form = call.form
        form.only("event_name", "type", "cancel")
        event_name = form.required("event_name")
        form.required("type")
        form.choice("type", "cancel")
        identifier = form.section("cancel").required("identifier")
        event = self._newest.get(identifier)
        if event is None or event.event_name != event_name:
            raise ApiError(
                400,
                f"No meter event found with identifier {identifier} and event name {event_name}.",
                param="cancel[identifier]",
                code="resource_missing",
                executed=True,
            )
        if call.now - event.received_at > DAY:
            raise ApiError(
                400,
                "Meter events can only be cancelled within 24 hours of being received.",
                param="cancel[identifier]",
                executed=True,
            )
        if event.cancelled_at is not None:
            raise ApiError(
                400,
                f"The meter event with identifier {identifier} has already been cancelled.",
                param="cancel[identifier]",
                executed=True,
            )
        event.cancelled_at = call.now
        return {
            "object": "billing.meter_event_adjustment",
            "cancel": {"identifier": identifier},
            "event_name": event_name,
            "livemode": call.livemode,
            "status": "pending",
            "type": "cancel",
        }

    def refuse(self, identifier: str, code: str, now: int) -> None:
        """Refuse an accepted event from now on; an error report follows.

        Raises:
            ControlError: No event that still counts has that identifier.
        """
        event = self._newest.get(identifier)
        if event is None or not event.counts:
            raise ControlError(f"no event that counts has the identifier {identifier}")
        self._turn_down(event, code, now)

    def all(self) -> Iterator[MeterEvent]:
        """Every accepted event in the order of acceptance."""
        return iter(self._all)

    def usage(
        self, meter: str, customer: str, start: int, end: int, *, received_by: int
    ) -> Iterator[MeterEvent]:
        """What counts, timestamped in [start, end), received at `received_by` or before."""
        return (
            event
            for event in self._usage.get((meter, customer), ())
            if start <= event.timestamp < end and event.received_at <= received_by and event.counts
        )

    def _meter(self, event_name: str) -> Meter:
        meter = self._meters.active(event_name)
        if meter is None:
            raise ApiError(
                400,
                f"No active meter found with event name {event_name}.",
                param="event_name",
                code="no_meter",
                executed=True,
            )
        return meter

    def _refuse_duplicate(self, identifier: str, now: int) -> None:
        earlier = self._newest.get(identifier)
        if earlier is not None and now - earlier.received_at < DAY:
            earlier.offers += 1
            raise ApiError(
                400,
                f"An event already exists with identifier {identifier}.",
                headers={"Stripe-Should-Retry": "false"},
                executed=True,
            )

    def _turn_down(self, event: MeterEvent, code: str, now: int) -> None:
        event.refused, event.refused_at = code, now
        self._reports.add(
            Refusal(event.identifier, event.meter, event.customer, code, now, event.livemode)
        )


def _identifier(call: Call) -> str | None:
    identifier = call.form.text("identifier")
    if identifier is not None and len(identifier) > _LONGEST_IDENTIFIER:
        raise invalid(
            f"Invalid string: {identifier[:10]}…; must be at most 100 characters",
            "identifier",
            "parameter_invalid_string_length",
        )
    return identifier


def _timestamp(call: Call) -> int:
    timestamp = call.form.integer("timestamp")
    if timestamp is None:
        return call.now
    oldest, newest = call.now - _OLDEST, call.now + _NEWEST
    if timestamp < oldest:
        raise invalid(
            "The event timestamp cannot be more than 35 days in past. "
            f"Expected a timestamp greater than or equal to {oldest}.",
            "timestamp",
            "timestamp_too_far_in_past",
        )
    if timestamp > newest:
        raise invalid(
            "The event timestamp cannot be more than 5 minutes in the future. "
            f"Expected a timestamp less than or equal to {newest}.",
            "timestamp",
            "timestamp_in_future",
        )
    return timestamp


def _value(meter: Meter, payload: dict[str, str]) -> tuple[int, str]:
    text = payload.get(meter.value_key)
    if text is None and meter.formula == "count":
        return 1, "1"
    param = f"payload[{meter.value_key}]"
    if not text:
        raise invalid(
            f"The payload has no value under {meter.value_key}.",
            param,
            "meter_event_value_not_found",
        )
    if not _WHOLE.match(text):
        raise invalid(
            f"The value in the event payload must be a whole number. Received {text}.",
            param,
            "meter_event_invalid_value",
        )
    if len(text.lstrip("-0")) > _MOST_DIGITS:
        raise invalid(
            f"The value in the event payload can have at most {_MOST_DIGITS} digits. "
            f"Received {text}.",
            param,
            "meter_event_value_too_many_digits",
        )
    return int(text), text
