"""Subscriptions to metered prices.

Source: https://docs.stripe.com/api/subscriptions
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.customers import Customers
from infra.stripe_simulator.errors import invalid, missing, not_found
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.paging import PAGING, page
from infra.stripe_simulator.periods import next_boundary
from infra.stripe_simulator.prices import Price, Prices


@dataclass(frozen=True, slots=True)
class Item:
    """A price of a subscription."""

    id: str
    price: Price


@dataclass(frozen=True, slots=True)
class Subscription:
    """A monthly subscription. Times are epoch seconds; the period is [start, end)."""

    id: str
    customer: str
    items: tuple[Item, ...]
    created: int
    started: int
    anchor: int
    period_start: int
    period_end: int
    livemode: bool
    metadata: dict[str, str]
    cancelled_at: int | None = None
    cancels_at_period_end: bool = False
    ended_at: int | None = None

    @property
    def status(self) -> str:
        """`active` or `canceled`."""
        return "active" if self.ended_at is None else "canceled"

    def json(self) -> Json:
        """Stripe's JSON form. The periods are on the items, as in Stripe's newer versions."""
        return {
            "id": self.id,
            "object": "subscription",
            "billing_cycle_anchor": self.anchor,
            "cancel_at_period_end": self.cancels_at_period_end,
            "canceled_at": self.cancelled_at,
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.items[0].price.currency,
            "customer": self.customer,
            "ended_at": self.ended_at,
            "items": {
                "object": "list",
                "url": f"/v1/subscription_items?subscription={self.id}",
                "has_more": False,
                "data": [self._item(item) for item in self.items],
            },
            "livemode": self.livemode,
            "metadata": self.metadata,
            "start_date": self.started,
            "status": self.status,
        }

    def _item(self, item: Item) -> Json:
        return {
            "id": item.id,
            "object": "subscription_item",
            "created": self.created,
            "current_period_start": self.period_start,
            "current_period_end": self.period_end,
            "metadata": {},
            "price": item.price.json(),
            "subscription": self.id,
        }


Bill = Callable[[Subscription, int], None]


class Subscriptions:
    """All subscriptions. `bill` is told each period that ended: the subscription as it was then."""

    def __init__(self, ids: Ids, customers: Customers, prices: Prices, bill: Bill) -> None:
        self._ids = ids
        self._customers = customers
        self._prices = prices
        self._bill = bill
        self._subscriptions: dict[str, Subscription] = {}
        self._next_end: int | None = None

    def create(self, call: Call) -> Json:
        """`POST /v1/subscriptions`."""
        return self.make(call).json()

    def make(self, call: Call) -> Subscription:
        """A new subscription from the call's parameters.

        `billing_cycle_anchor` lies ahead, within the first month; `backdate_start_date` moves the
        start back. No invoice is made at the start: metered usage is billed in arrears.
        """
        form = call.form
        form.only(
            "customer",
            "items",
            "billing_cycle_anchor",
            "backdate_start_date",
            "metadata",
            "collection_method",
            "proration_behavior",
        )
        customer = self._customers.get(form.required("customer"), param="customer")
        items = self._items(call)
        started = form.integer("backdate_start_date")
        started = call.now if started is None else started
        if started > call.now:
            raise invalid("backdate_start_date must be in the past.", "backdate_start_date")
        anchor = form.integer("billing_cycle_anchor")
        anchor = started if anchor is None else anchor
        if not started <= anchor <= next_boundary(started, started):
            raise invalid(
                "billing_cycle_anchor must lie within the first period.", "billing_cycle_anchor"
            )
        subscription = Subscription(
            id=self._ids.next("sub"),
            customer=customer.id,
            items=items,
            created=call.now,
            started=started,
            anchor=anchor,
            period_start=started,
            period_end=next_boundary(anchor, started),
            livemode=call.livemode,
            metadata=form.mapping("metadata"),
        )
        self._keep(subscription)
        self.turn(call.now)
        return self._subscriptions[subscription.id]

    def retrieve(self, call: Call) -> Json:
        """`GET /v1/subscriptions/{id}`."""
        return self.get(call.args[0]).json()

    def update(self, call: Call) -> Json:
        """`POST /v1/subscriptions/{id}`: `cancel_at_period_end` and metadata."""
        call.form.only("cancel_at_period_end", "metadata")
        subscription = self.get(call.args[0])
        at_end = call.form.boolean("cancel_at_period_end")
        if at_end is not None:
            subscription = replace(
                subscription,
                cancels_at_period_end=at_end,
                cancelled_at=call.now if at_end else None,
            )
        metadata = {**subscription.metadata, **call.form.mapping("metadata")}
        return self._keep(replace(subscription, metadata=metadata)).json()

    def cancel(self, call: Call) -> Json:
        """`DELETE /v1/subscriptions/{id}`: at once.

        What was used since the period's start is billed only with `invoice_now=true`
        (https://docs.stripe.com/api/subscriptions/cancel).
        """
        call.form.only("invoice_now", "prorate", "cancellation_details")
        subscription = self.get(call.args[0])
        if subscription.ended_at is not None:
            raise not_found("subscription", subscription.id)
        if call.form.boolean("invoice_now"):
            self._bill(replace(subscription, period_end=call.now), call.now)
        return self._end(subscription, call.now).json()

    def list(self, call: Call) -> Json:
        """`GET /v1/subscriptions`: by customer, price, status; without the canceled by default."""
        form = call.form
        form.only("customer", "price", "status", *PAGING)
        customer, price = form.text("customer"), form.text("price")
        status = form.choice("status", "active", "canceled", "all", "ended")
        wanted = {"all": ("active", "canceled"), "canceled": ("canceled",), "ended": ("canceled",)}
        found = [
            subscription
            for subscription in reversed(self._subscriptions.values())
            if customer in (None, subscription.customer)
            and (price is None or any(item.price.id == price for item in subscription.items))
            and subscription.status in wanted.get(status or "active", ("active",))
        ]
        return page(found, call)

    def get(self, identity: str, *, param: str = "id") -> Subscription:
        """The subscription, or Stripe's refusal."""
        subscription = self._subscriptions.get(identity)
        if subscription is None:
            raise not_found("subscription", identity, param=param)
        return subscription

    def end_all_of(self, customer: str, now: int) -> None:
        """End a deleted customer's subscriptions."""
        for subscription in list(self._subscriptions.values()):
            if subscription.customer == customer and subscription.ended_at is None:
                self._end(subscription, now)

    def next_end(self) -> int | None:
        """When the next period ends, in epoch seconds."""
        return self._next_end

    def turn(self, now: int) -> None:
        """Bill every period that ended by `now` and start the next."""
        while self._next_end is not None and self._next_end <= now:
            end = self._next_end
            for subscription in list(self._subscriptions.values()):
                if subscription.ended_at is None and subscription.period_end == end:
                    self._turn(subscription)
            self._find_next_end()

    def _turn(self, subscription: Subscription) -> None:
        end = subscription.period_end
        self._bill(subscription, end)
        if subscription.cancels_at_period_end:
            self._end(subscription, end)
        else:
            following = next_boundary(subscription.anchor, end)
            self._subscriptions[subscription.id] = replace(
                subscription, period_start=end, period_end=following
            )

    def _end(self, subscription: Subscription, now: int) -> Subscription:
        cancelled_at = subscription.cancelled_at or now
        return self._keep(replace(subscription, ended_at=now, cancelled_at=cancelled_at))

    def _keep(self, subscription: Subscription) -> Subscription:
        self._subscriptions[subscription.id] = subscription
        if subscription.ended_at is None and (
            self._next_end is None or subscription.period_end < self._next_end
        ):
            self._next_end = subscription.period_end
        return subscription

    def _find_next_end(self) -> None:
        self._next_end = min(
            (
                subscription.period_end
                for subscription in self._subscriptions.values()
                if subscription.ended_at is None
            ),
            default=None,
        )

    def _items(self, call: Call) -> tuple[Item, ...]:
        prices = []
        for item in call.form.sections("items"):
            item.only("price", "metadata")
            prices.append(self._prices.get(item.required("price"), param=item.name("price")))
        if not prices:
            raise missing("items")
        if len({price.currency for price in prices}) > 1:
            raise invalid("All prices of a subscription have one currency.", "items")
        return tuple(Item(self._ids.next("si"), price) for price in prices)
