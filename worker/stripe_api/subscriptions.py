"""Stripe's subscriptions: whether usage with a given timestamp is billed to anybody.

A meter counts events of customers without a subscription too; usage reaches an invoice only by an
active subscription's item on a price of the meter
(https://docs.stripe.com/api/subscriptions/object).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from producers.instant import from_epoch
from worker.stripe_api.reading import UnknownCustomer, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    import stripe

    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.metered_prices import MeteredPrice, MeteredPrices

_PAGE = 100
_RETRIES = 2
# These make no invoices, or were never begun
# (https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses).
_NEVER_BILLS = frozenset({"incomplete", "incomplete_expired", "paused"})


@dataclass(frozen=True, slots=True)
class MeteredItem:
    """A subscription's item on a metered price. Instants are UTC.

    Args:
        subscription_id: whose item it is.
        status: the subscription's.
        price: what it bills.
        started_at: when the subscription began.
        ended_at: when it ended; None while it runs.
        period_start: when the running, or last, period began.
    """

    subscription_id: str
    status: str
    price: MeteredPrice
    started_at: datetime
    ended_at: datetime | None
    period_start: datetime

    def covers(self, stamped_at: datetime) -> bool:
        """Whether usage with that timestamp is this item's to bill."""
        if self.status in _NEVER_BILLS or stamped_at < self.started_at:
            return False
        return self.ended_at is None or stamped_at < self.ended_at

    def ended_before(self, stamped_at: datetime) -> bool:
        """Whether the subscription was over by then."""
        return self.ended_at is not None and self.ended_at <= stamped_at


class Subscriptions(Protocol):
    """Says what customers are subscribed to."""

    def metered_items(self, customer_id: str) -> tuple[MeteredItem, ...]:
        """Every item on a metered price that a customer has or had."""
        ...


class StripeSubscriptions:
    """Asks Stripe.

    Args:
        connection: gives the client.
        prices: knows the prices.
    """

    def __init__(self, connection: StripeConnection, prices: MeteredPrices) -> None:
        self._connection = connection
        self._prices = prices

    def metered_items(self, customer_id: str) -> tuple[MeteredItem, ...]:
        """Every item on a metered price that a customer has or had, ended subscriptions too.

        Raises:
            NotReadable: the key may not read subscriptions.
            StripeUnavailable: Stripe did not answer.
        """
        client = self._connection.keyed_client().client
        try:
            with reading("subscriptions"):
                page = client.v1.subscriptions.list(
                    {"customer": customer_id, "status": "all", "limit": _PAGE},
                    {"max_network_retries": _RETRIES},
                )
                return tuple(
                    item
                    for subscription in page.auto_paging_iter()
                    for item in self._metered(subscription, client)
                )
        except UnknownCustomer:
            return ()

    def customers_on(self, meter_ids: Collection[str]) -> dict[str, set[str]]:
        """By meter, every customer with a subscription that bills it.

        Raises:
            NotReadable: the key may not read subscriptions.
            StripeUnavailable: Stripe did not answer.
        """
        client = self._connection.keyed_client().client
        found: dict[str, set[str]] = {meter_id: set() for meter_id in meter_ids}
        with reading("subscriptions"):
            # Without a status Stripe leaves out those that are canceled.
            page = client.v1.subscriptions.list({"limit": _PAGE}, {"max_network_retries": _RETRIES})
            for subscription in page.auto_paging_iter():
                if subscription.status in _NEVER_BILLS:
                    continue
                customer = subscription.customer
                for item in self._metered(subscription, client):
                    if item.price.meter_id in found:
                        found[item.price.meter_id].add(
                            customer if isinstance(customer, str) else customer.id
                        )
        return found

    def _metered(
        self, subscription: stripe.Subscription, client: stripe.StripeClient
    ) -> Iterator[MeteredItem]:
        for item in _items(subscription, client):
            price = self._prices.of(item.price, client)
            if price is not None:
                yield MeteredItem(
                    subscription_id=subscription.id,
                    status=subscription.status,
                    price=price,
                    started_at=from_epoch(subscription.start_date),
                    ended_at=_instant(subscription.ended_at),
                    period_start=from_epoch(item.current_period_start),
                )


def _items(
    subscription: stripe.Subscription, client: stripe.StripeClient
) -> Iterator[stripe.SubscriptionItem]:
    if not subscription.items.has_more:
        yield from subscription.items.data
        return
    page = client.v1.subscription_items.list(
        {"subscription": subscription.id, "limit": _PAGE}, {"max_network_retries": _RETRIES}
    )
    yield from page.auto_paging_iter()


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_epoch(seconds)
