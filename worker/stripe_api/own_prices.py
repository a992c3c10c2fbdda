"""What a customer's own subscription makes of usage, and what Stripe's preview says.

https://docs.stripe.com/api/invoices/create_preview
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from worker.price import CURRENCIES
from worker.stripe_api.reading import reading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.subscriptions import StripeSubscriptions

_RETRIES = 2


@dataclass(frozen=True, slots=True)
class OwnAmounts:
    """A customer's usage at their own prices, in the currency's major unit.

    Args:
        currency: theirs; None without a subscription on a meter.
        amount: what the usage comes to; None where a price has tiers, or there is none.
        upcoming: what Stripe's own preview of the running invoices says, of the usage that it
            has by now; None without a subscription.
    """

    currency: str | None = None
    amount: Decimal | None = None
    upcoming: Decimal | None = None


class OwnPrices:
    """Asks Stripe.

    Args:
        connection: to Stripe.
        subscriptions: who pays which price.
    """

    def __init__(self, connection: StripeConnection, subscriptions: StripeSubscriptions) -> None:
        self._connection = connection
        self._subscriptions = subscriptions

    def amounts(
        self, customer_id: str, used: Mapping[str, int], stamped_at: datetime
    ) -> OwnAmounts:
        """What usage comes to by the subscription items that bill it.

        Args:
            customer_id: the customer.
            used: bytes by the meter's event name.
            stamped_at: when the usage is stamped.

        Raises:
            NotReadable: the key may not read subscriptions or invoices.
            StripeUnavailable: Stripe did not answer.
        """
        items = [
            item
            for item in self._subscriptions.metered_items(customer_id)
            if item.covers(stamped_at) and item.price.event_name in used
        ]
        if not items:
            return OwnAmounts()
        currency = items[0].price.currency
        decimals = CURRENCIES[currency].decimals if currency in CURRENCIES else 2
        total = Decimal(0)
        for item in items:
            if item.price.unit_amount is None:
                return OwnAmounts(
                    currency, None, self._upcoming(items[0].subscription_id, decimals)
                )
            quantity = item.price.quantity(used[item.price.event_name])
            total += (item.price.unit_amount * quantity).quantize(Decimal(1), ROUND_HALF_UP)
        names = sorted({item.subscription_id for item in items})
        upcoming = sum((self._upcoming(name, decimals) for name in names), Decimal(0))
        return OwnAmounts(currency, total.scaleb(-decimals), upcoming)

    def _upcoming(self, subscription_id: str, decimals: int) -> Decimal:
        client = self._connection.keyed_client().client
        with reading("invoice previews"):
            preview = client.v1.invoices.create_preview(
                {"subscription": subscription_id}, {"max_network_retries": _RETRIES}
            )
            return Decimal(preview.total).scaleb(-decimals)
