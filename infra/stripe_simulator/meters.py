"""Billing meters.

Source: https://docs.stripe.com/api/billing/meter

An event name belongs to one active meter at a time
(https://docs.stripe.com/billing/subscriptions/usage-based/meters/configure).
"""

from dataclasses import dataclass, replace

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.errors import ApiError, invalid, not_found
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.paging import PAGING, page


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter. Times are epoch seconds."""

    id: str
    display_name: str
    event_name: str
    formula: str
    customer_key: str
    value_key: str
    created: int
    updated: int
    livemode: bool
    deactivated_at: int | None = None

    @property
    def active(self) -> bool:
        """Whether it takes events."""
        return self.deactivated_at is None

    def json(self) -> Json:
        """Stripe's JSON form."""
        return {
            "id": self.id,
            "object": "billing.meter",
            "created": self.created,
            "customer_mapping": {"event_payload_key": self.customer_key, "type": "by_id"},
            "default_aggregation": {"formula": self.formula},
            "display_name": self.display_name,
            "event_name": self.event_name,
            "event_time_window": None,
            "livemode": self.livemode,
            "status": "active" if self.active else "inactive",
            "status_transitions": {"deactivated_at": self.deactivated_at},
            "updated": self.updated,
            "value_settings": {"event_payload_key": self.value_key},
        }


class Meters:
    """All meters."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._meters: dict[str, Meter] = {}
        self._active: dict[str, Meter] = {}

    def create(self, call: Call) -> Json:
        """`POST /v1/billing/meters`."""
        return self.make(call).json()

    def make(self, call: Call) -> Meter:
        """A new meter from the call's parameters."""
        form = call.form
        form.only(
            "customer_mapping",
            "default_aggregation",
            "display_name",
            "event_name",
            "event_time_window",
            "value_settings",
        )
        aggregation = form.section("default_aggregation")
        aggregation.required("formula")
        mapping = form.section("customer_mapping")
        mapping.choice("type", "by_id")
        meter = Meter(
            id=self._ids.next("mtr"),
            display_name=form.required("display_name"),
            event_name=form.required("event_name"),
            formula=aggregation.choice("formula", "sum", "count", "last") or "sum",
            customer_key=mapping.text("event_payload_key") or "stripe_customer_id",
            value_key=form.section("value_settings").text("event_payload_key") or "value",
            created=call.now,
            updated=call.now,
            livemode=call.livemode,
        )
        self._claim_event_name(meter)
        return self._keep(meter)

    def retrieve(self, call: Call) -> Json:
        """`GET /v1/billing/meters/{id}`."""
        return self.get(call.args[0]).json()

    def update(self, call: Call) -> Json:
        """`POST /v1/billing/meters/{id}`: only the display name can change."""
        call.form.only("display_name")
        meter = self.get(call.args[0])
        name = call.form.text("display_name") or meter.display_name
        return self._keep(replace(meter, display_name=name, updated=call.now)).json()

    def deactivate(self, call: Call) -> Json:
        """`POST /v1/billing/meters/{id}/deactivate`."""
        meter = self.get(call.args[0])
        if not meter.active:
            raise ApiError(400, "This meter is already inactive.", executed=True)
        return self._keep(replace(meter, deactivated_at=call.now, updated=call.now)).json()

    def reactivate(self, call: Call) -> Json:
        """`POST /v1/billing/meters/{id}/reactivate`."""
        meter = self.get(call.args[0])
        if meter.active:
            raise ApiError(400, "This meter is already active.", executed=True)
        self._claim_event_name(meter)
        return self._keep(replace(meter, deactivated_at=None, updated=call.now)).json()

    def list(self, call: Call) -> Json:
        """`GET /v1/billing/meters`, by status."""
        call.form.only("status", *PAGING)
        status = call.form.choice("status", "active", "inactive")
        found = [
            meter
            for meter in reversed(self._meters.values())
            if status is None or meter.active == (status == "active")
        ]
        return page(found, call)

    def get(self, identity: str, *, param: str = "id") -> Meter:
        """The meter, or Stripe's refusal."""
        meter = self._meters.get(identity)
        if meter is None:
            raise not_found("meter", identity, param=param)
        return meter

    def active(self, event_name: str) -> Meter | None:
        """The active meter of that event name."""
        return self._active.get(event_name)

    def _claim_event_name(self, meter: Meter) -> None:
        holder = self._active.get(meter.event_name)
        if holder is not None:
            raise invalid(
                f"An active meter already exists with event name {meter.event_name}: {holder.id}",
                "event_name",
            )

    def _keep(self, meter: Meter) -> Meter:
        self._meters[meter.id] = meter
        if meter.active:
            self._active[meter.event_name] = meter
        else:
            self._active.pop(meter.event_name, None)
        return meter
