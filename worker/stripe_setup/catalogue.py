"""The catalogue: what has to stand in Stripe, and how what stands there differs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.price import GIB
from worker.stripe_api.meter_events import CUSTOMER_KEY, VALUE_KEY
from worker.stripe_api.prices import PriceTerms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.price import Price, PriceList
    from worker.settings import Settings
    from worker.stripe_api.meters import Meter

_FORMULA = "sum"


@dataclass(frozen=True, slots=True)
class Entry:
    """A meter with its product and price.

    Args:
        event_name: the meter's.
        meter_name: what people see of the meter.
        product_name: what customers see on their invoices.
        terms: the price's.
    """

    event_name: str
    meter_name: str
    product_name: str
    terms: PriceTerms


def catalogue(settings: Settings, prices: PriceList) -> tuple[Entry, Entry]:
    """Both entries, storage first."""
    return (
        Entry(settings.storage_event_name, "Storage Usage", "Storage", terms_of(prices.storage)),
        Entry(
            settings.file_event_name,
            "File Processing (Bytes)",
            "File Processing",
            terms_of(prices.file),
        ),
    )


def terms_of(price: Price) -> PriceTerms:
    """A price as Stripe is to hold it."""
    return PriceTerms(
        currency=price.currency.code,
        unit_amount=price.currency.minor(price.amount),
        divide_by=price.unit_bytes,
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that stands otherwise than it should.

    Args:
        what: how it stands, and how it should.
        why: why that matters, and what can be done.
    """

    what: str
    why: str


_IMMUTABLE = (
    "A meter's aggregation and payload keys can never be changed: archive it (Billing, Meters), "
    "run `siftbeam-billing stripe setup` again, and move the subscriptions to the new price."
)


def meter_differences(meter: Meter) -> Iterator[Difference]:
    """How an active meter differs from one that counts what we send."""
    for said, found, wanted in (
        ("aggregates by", meter.formula, _FORMULA),
        ("finds the customer under", meter.customer_key, CUSTOMER_KEY),
        ("finds the value under", meter.value_key, VALUE_KEY),
        ("takes one event as the whole of each", meter.window, None),
    ):
        if found != wanted:
            should = "" if wanted is None else f", and has to be {wanted!r}"
            yield Difference(f"it {said} {found!r}{should}", _IMMUTABLE)


_PRICE_STAYS = (
    "A price's amounts can never be changed, and who is subscribed to it pays them: create another "
    "(`siftbeam-billing stripe setup --new-prices`) and move the subscriptions, or make the "
    "settings say what is meant."
)


def price_differences(found: PriceTerms, wanted: PriceTerms) -> Iterator[Difference]:
    """How a price of the right currency differs from the one that the settings name."""
    if found.unit_amount is None:
        yield Difference("it has tiers", "Preview and report reckon with one amount per unit.")
    elif found.unit_amount != wanted.unit_amount and found.divide_by == wanted.divide_by:
        yield Difference(
            f"a unit costs {found.unit_amount:f}, and {wanted.unit_amount:f} by the settings (in "
            "the currency's minor unit)",
            _PRICE_STAYS,
        )
    if found.divide_by != wanted.divide_by:
        yield Difference(
            f"its unit is {_unit(found.divide_by)}, and {_unit(wanted.divide_by)} by the settings",
            "By the GiB, a part of one counts as a whole, which decides every small bill; by the "
            "byte (`--exact`) nothing is rounded but the line. " + _PRICE_STAYS,
        )
    elif found.divide_by != 1 and not found.rounds_up:
        yield Difference(
            "it rounds a part of a unit down",
            "Whoever holds less than a GiB pays nothing. " + _PRICE_STAYS,
        )
    if found.interval != wanted.interval:
        yield Difference(
            f"it is billed every {found.interval}, and has to be every {wanted.interval}",
            "One average is sent each month. " + _PRICE_STAYS,
        )


def _unit(divide_by: int) -> str:
    return {1: "1 byte", GIB: "1 GiB"}.get(divide_by, f"{divide_by:,} bytes")
