"""Prices and products: https://docs.stripe.com/api/prices and https://docs.stripe.com/api/products."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from worker.stripe_api.creating import creating
from worker.stripe_api.reading import reading

if TYPE_CHECKING:
    import stripe

    from worker.stripe_api.connection import StripeConnection

_PAGE = 100
_RETRIES = 2
_UP = "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTerms:
    """What a price on a meter says, as far as an amount depends on it.

    Args:
        currency: as Stripe writes it.
        unit_amount: in the currency's minor unit; None where the price has tiers.
        divide_by: how many bytes make a unit.
        rounds_up: whether a part of a unit counts as a whole one; of no meaning for single bytes.
        interval: how often it is billed, as ``1 month``.
    """

    currency: str
    unit_amount: Decimal | None
    divide_by: int = 1
    rounds_up: bool = True
    interval: str = "1 month"


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """An active price on a meter.

    Args:
        id: Stripe's id of it.
        product_id: its product's.
        terms: what it says.
    """

    id: str
    product_id: str
    terms: PriceTerms


def meter_prices(connection: StripeConnection, meter_id: str) -> tuple[ListedPrice, ...]:
    """Every active price on a meter, the newest first, paged to the end.

    Raises:
        NotReadable: the key may not read prices.
        StripeUnavailable: Stripe did not answer.
    """
    client = connection.keyed_client().client
    with reading("prices"):
        page = client.v1.prices.list(
            {"active": True, "recurring": {"meter": meter_id}, "limit": _PAGE},
            {"max_network_retries": _RETRIES},
        )
        return tuple(_listed(price) for price in page.auto_paging_iter())


def product_named(connection: StripeConnection, name: str) -> str | None:
    """The id of an active product with a name, the oldest of several; None where there is none.

    Raises:
        NotReadable: the key may not read products.
        StripeUnavailable: Stripe did not answer.
    """
    client = connection.keyed_client().client
    with reading("products"):
        page = client.v1.products.list(
            {"active": True, "limit": _PAGE}, {"max_network_retries": _RETRIES}
        )
        found = [product.id for product in page.auto_paging_iter() if product.name == name]
    return found[-1] if found else None


def create_product(connection: StripeConnection, name: str) -> str:
    """A new product; returns its id.

    Raises:
        NotCreated: Stripe refused, or did not answer.
    """
    client = connection.keyed_client().client
    with creating(f"product {name}"):
        return client.v1.products.create({"name": name}, {"max_network_retries": _RETRIES}).id


def create_price(
    connection: StripeConnection, meter_id: str, product_id: str, terms: PriceTerms
) -> str:
    """A new monthly metered price; returns its id.

    Raises:
        NotCreated: Stripe refused, or did not answer.
    """
    client = connection.keyed_client().client
    wanted: stripe.params.PriceCreateParams = {
        "currency": terms.currency,
        "product": product_id,
        "unit_amount_decimal": terms.unit_amount or Decimal(0),
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter_id},
    }
    if terms.divide_by != 1:
        wanted["transform_quantity"] = {"divide_by": terms.divide_by, "round": _UP}
    with creating(f"price on meter {meter_id}"):
        return client.v1.prices.create(wanted, {"max_network_retries": _RETRIES}).id


def _listed(price: stripe.Price) -> ListedPrice:
    transform, recurring = price.transform_quantity, price.recurring
    amount = price.unit_amount_decimal
    product = price.product
    return ListedPrice(
        price.id,
        product if isinstance(product, str) else product.id,
        PriceTerms(
            currency=price.currency,
            unit_amount=None if amount is None else Decimal(amount),
            divide_by=1 if transform is None else transform.divide_by,
            rounds_up=transform is None or transform.round == _UP,
            interval=""
            if recurring is None
            else f"{recurring.interval_count} {recurring.interval}",
        ),
    )
