"""Metered prices: whose usage a price bills, and in which units.

https://docs.stripe.com/api/prices/object; a price's meter and its ``transform_quantity`` never
change, so each is read once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import stripe

_RETRIES = 2
_UP = "up"


@dataclass(frozen=True, slots=True)
class MeteredPrice:
    """A price on a meter.

    Args:
        id: Stripe's id of it.
        event_name: the meter's.
        divide_by: how many bytes make a unit.
        rounds_up: whether a part of a unit counts as a whole one, or as none.
        currency: what is paid in.
        unit_amount: per unit, in the currency's minor unit; None where the price has tiers.
        meter_id: the meter's; an archived one and its successor share the event name.
    """

    id: str
    event_name: str
    divide_by: int = 1
    rounds_up: bool = False
    currency: str = "usd"
    unit_amount: Decimal | None = None
    meter_id: str = ""

    def quantity(self, used_bytes: int) -> int:
        """The units that so many bytes, zero or more, come to on an invoice line.

        https://docs.stripe.com/billing/subscriptions/usage-based/transform-quantities
        """
        units, rest = divmod(used_bytes, self.divide_by)
        return units + 1 if rest and self.rounds_up else units


class MeteredPrices:
    """Knows the prices that were met before. Safe to share between threads."""

    def __init__(self) -> None:
        self._prices: dict[str, MeteredPrice | None] = {}
        self._event_names: dict[str, str] = {}
        self._lock = threading.Lock()

    def with_id(self, price_id: str, client: stripe.StripeClient) -> MeteredPrice | None:
        """The price with an id; None for one that bills no meter."""
        with self._lock:
            if price_id in self._prices:
                return self._prices[price_id]
        options: stripe.RequestOptions = {"max_network_retries": _RETRIES}
        return self.of(client.v1.prices.retrieve(price_id, None, options), client)

    def of(self, price: stripe.Price, client: stripe.StripeClient) -> MeteredPrice | None:
        """A price that Stripe gave along with something else; None for one that bills no meter."""
        with self._lock:
            if price.id in self._prices:
                return self._prices[price.id]
        found = self._read(price, client)
        with self._lock:
            self._prices[price.id] = found
        return found

    def _read(self, price: stripe.Price, client: stripe.StripeClient) -> MeteredPrice | None:
        meter_id = price.recurring.meter if price.recurring is not None else None
        if meter_id is None:
            return None
        event_name = self._event_name(meter_id, client)
        transform, amount = price.transform_quantity, price.unit_amount_decimal
        return MeteredPrice(
            price.id,
            event_name,
            divide_by=1 if transform is None else transform.divide_by,
            rounds_up=transform is not None and transform.round == _UP,
            currency=price.currency,
            unit_amount=None if amount is None else Decimal(amount),
            meter_id=meter_id,
        )

    def _event_name(self, meter_id: str, client: stripe.StripeClient) -> str:
        with self._lock:
            known = self._event_names.get(meter_id)
        if known is not None:
            return known
        meter = client.v1.billing.meters.retrieve(meter_id, None, {"max_network_retries": _RETRIES})
        with self._lock:
            self._event_names[meter_id] = meter.event_name
        return meter.event_name
