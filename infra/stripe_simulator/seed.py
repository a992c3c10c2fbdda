"""Meters, prices, customers and subscriptions in one go, for demos and tests."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from infra.stripe_simulator.books import Books
from infra.stripe_simulator.calls import Call
from infra.stripe_simulator.customers import Customer
from infra.stripe_simulator.errors import ApiError, ControlError
from infra.stripe_simulator.forms import Form, FormValue
from infra.stripe_simulator.prices import Price
from infra.stripe_simulator.settings import ACCOUNT


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeedMeter(_Frozen):
    """A meter and the price on it.

    Attributes:
        event_name: Of the meter.
        display_name: Of the meter and its product; the event name by default.
        formula: How the meter aggregates.
        currency: Of the price.
        unit_amount: In minor units, up to 12 decimals.
        divide_by: `transform_quantity`, if any.
        round: Likewise.
    """

    event_name: str
    display_name: str | None = None
    formula: Literal["sum", "count", "last"] = "sum"
    currency: str = "usd"
    unit_amount: Decimal = Decimal(1)
    divide_by: Annotated[int, Field(ge=1)] | None = None
    round: Literal["up", "down"] = "up"


class SeedCustomer(_Frozen):
    """A customer under a given id."""

    id: str
    name: str | None = None
    email: str | None = None


class SeedSubscription(_Frozen):
    """A customer's subscription to prices seeded now or made before.

    Attributes:
        customer: Who.
        event_names: Whose newest prices; those of all active meters by default.
        started: Aware; by default now.
    """

    customer: str
    event_names: tuple[str, ...] | None = None
    started: AwareDatetime | None = None


class Seed(_Frozen):
    """What to plant."""

    meters: tuple[SeedMeter, ...] = ()
    customers: tuple[SeedCustomer, ...] = ()
    subscriptions: tuple[SeedSubscription, ...] = ()


class Planted(_Frozen):
    """The ids of what was planted: by event name, and subscriptions in the order given."""

    meters: dict[str, str]
    prices: dict[str, str]
    subscriptions: tuple[str, ...]


def plant(seed: Seed, books: Books, now: datetime, *, livemode: bool) -> Planted:
    """Plant it.

    Raises:
        ControlError: Something is there already, or a subscription names what is not.
    """

    def call(fields: dict[str, FormValue]) -> Call:
        return Call(Form(fields), int(now.timestamp()), livemode, ACCOUNT, "")

    meters: dict[str, str] = {}
    prices: dict[str, str] = {}
    subscriptions: list[str] = []
    try:
        for meter in seed.meters:
            made = books.meters.make(call(_meter_form(meter)))
            meters[meter.event_name] = made.id
            prices[meter.event_name] = books.prices.make(call(_price_form(meter, made.id))).id
        for customer in seed.customers:
            books.customers.put(
                Customer(
                    id=customer.id,
                    created=int(now.timestamp()),
                    livemode=livemode,
                    name=customer.name,
                    email=customer.email,
                )
            )
        on_offer = books.prices.by_event_name() if seed.subscriptions else {}
        for subscription in seed.subscriptions:
            form = _subscription_form(subscription, on_offer, now)
            subscriptions.append(books.subscriptions.make(call(form)).id)
    except ApiError as error:
        raise ControlError(f"the seed cannot be planted: {error.message}") from error
    return Planted(meters=meters, prices=prices, subscriptions=tuple(subscriptions))


def _meter_form(meter: SeedMeter) -> dict[str, FormValue]:
    return {
        "display_name": meter.display_name or meter.event_name,
        "event_name": meter.event_name,
        "default_aggregation": {"formula": meter.formula},
    }


def _price_form(meter: SeedMeter, meter_id: str) -> dict[str, FormValue]:
    name = meter.display_name or meter.event_name
    form: dict[str, FormValue] = {
        "currency": meter.currency,
        "unit_amount_decimal": format(meter.unit_amount, "f"),
        "product_data": {"name": name},
        "nickname": name,
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter_id},
    }
    if meter.divide_by is not None:
        form["transform_quantity"] = {"divide_by": str(meter.divide_by), "round": meter.round}
    return form


def _subscription_form(
    subscription: SeedSubscription, on_offer: Mapping[str, Price], now: datetime
) -> dict[str, FormValue]:
    items: dict[str, FormValue] = {}
    for number, event_name in enumerate(subscription.event_names or on_offer):
        if event_name not in on_offer:
            raise ControlError(f"no active meter named {event_name} has a price; seed it first")
        items[str(number)] = {"price": on_offer[event_name].id}
    started = subscription.started or now
    return {
        "customer": subscription.customer,
        "items": items,
        "backdate_start_date": str(int(started.timestamp())),
    }
