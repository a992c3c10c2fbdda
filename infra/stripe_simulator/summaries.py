"""Meter event summaries.

Source: https://docs.stripe.com/api/billing/meter-event-summary/list

Times align to minutes, to hours or days with `value_grouping_window`. What was accepted shows
after a delay that can be set: Stripe aggregates asynchronously.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from infra.stripe_simulator.calls import Call
from infra.stripe_simulator.customers import Customers
from infra.stripe_simulator.errors import invalid, missing, not_found
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.meter_events import DAY, MeterEvent, MeterEvents
from infra.stripe_simulator.meters import Meters
from infra.stripe_simulator.paging import PAGING, page
from infra.stripe_simulator.settings import Settings

_MINUTE = 60
_WINDOWS = {"hour": 3600, "day": DAY}


def aggregate(formula: str, events: Iterable[MeterEvent]) -> int:
    """What a meter makes of its events: their sum, their number, or the latest one's value."""
    if formula == "count":
        return sum(1 for _ in events)
    if formula == "last":
        latest = max(enumerate(events), key=lambda item: (item[1].timestamp, item[0]), default=None)
        return 0 if latest is None else latest[1].value
    return sum(event.value for event in events)


@dataclass(frozen=True, slots=True)
class Summary:
    """Usage of one customer in [start, end), epoch seconds."""

    meter: str
    start: int
    end: int
    value: int
    livemode: bool

    @property
    def id(self) -> str:
        """Derived from the window, so that a page's cursor finds it again."""
        return f"mtrusg_{self.start}_{self.end}"

    def json(self) -> Json:
        """Stripe's JSON form. Stripe's type for `aggregated_value` is a double; so it is here."""
        return {
            "id": self.id,
            "object": "billing.meter_event_summary",
            "aggregated_value": float(self.value),
            "end_time": self.end,
            "livemode": self.livemode,
            "meter": self.meter,
            "start_time": self.start,
        }


class Summaries:
    """Summaries, made when they are asked for."""

    def __init__(
        self,
        meters: Meters,
        customers: Customers,
        events: MeterEvents,
        settings: Callable[[], Settings],
    ) -> None:
        self._meters = meters
        self._customers = customers
        self._events = events
        self._settings = settings

    def list(self, call: Call) -> Json:
        """`GET /v1/billing/meters/{id}/event_summaries`, newest window first."""
        form = call.form
        form.only("customer", "start_time", "end_time", "value_grouping_window", *PAGING)
        meter = self._meters.get(call.args[0])
        customer = form.required("customer")
        grouping = form.choice("value_grouping_window", *_WINDOWS)
        step = _WINDOWS[grouping] if grouping else _MINUTE
        start, end = _aligned(call, "start_time", step), _aligned(call, "end_time", step)
        if start >= end:
            raise invalid("start_time must be before end_time.", "end_time")
        if not self._customers.known(customer):
            raise not_found("customer", customer, param="customer")
        seen_by = call.now - self._settings().summary_delay_seconds
        windows: defaultdict[int, list[MeterEvent]] = defaultdict(list)
        for event in self._events.usage(meter.id, customer, start, end, received_by=seen_by):
            window = event.timestamp - event.timestamp % step if grouping else start
            windows[window].append(event)
        if not grouping:
            windows.setdefault(start, [])
        summaries = [
            Summary(
                meter=meter.id,
                start=window,
                end=window + step if grouping else end,
                value=aggregate(meter.formula, windows[window]),
                livemode=call.livemode,
            )
            for window in sorted(windows, reverse=True)
        ]
        return page(summaries, call)


def _aligned(call: Call, name: str, step: int) -> int:
    instant = call.form.integer(name)
    if instant is None:
        raise missing(name)
    if instant % step:
        boundary = {_MINUTE: "minute", 3600: "hour", DAY: "day"}[step]
        raise invalid(f"{name} must align with {boundary} boundaries.", name)
    return instant
