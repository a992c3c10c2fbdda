"""The setup: creates what is missing in Stripe, changes nothing that exists, says what differs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.stripe_api.meters import create_meter, stripe_meters
from worker.stripe_api.prices import create_price, create_product, meter_prices, product_named
from worker.stripe_setup.catalogue import Difference, meter_differences, price_differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.meters import Meter
    from worker.stripe_api.prices import ListedPrice
    from worker.stripe_setup.catalogue import Entry


class Found(StrEnum):
    """How a thing was found, or what was done."""

    PRESENT = "present"
    CREATED = "created"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Piece:
    """A meter, product or price.

    Args:
        kind: which of the three.
        name: the meter's event name, the product's name, or the price in words.
        found: how it was found, or what was done.
        id: Stripe's id of it; None where there is none.
        differences: how it differs from what it should be.
        replaces: the price that it was made beside, for it to take its subscriptions.
    """

    kind: str
    name: str
    found: Found
    id: str | None = None
    differences: tuple[Difference, ...] = ()
    replaces: str | None = None

    @property
    def well(self) -> bool:
        """Whether it is there and as it should be."""
        return self.found in {Found.PRESENT, Found.CREATED}


_ARCHIVED = Difference(
    "it is archived: Stripe refuses its events",
    "Reactivate it in Stripe (Billing, Meters): what it counted before, and the prices on it, come "
    "back with it.",
)


class StripeSetup:
    """Looks at Stripe, and creates what is missing.

    Args:
        connection: to Stripe.
        entries: what has to stand there.
        create: whether to create; else what is missing is only named.
        beside: whether to create a price, too, where the one that stands differs.
    """

    def __init__(
        self,
        connection: StripeConnection,
        entries: Sequence[Entry],
        *,
        create: bool,
        beside: bool = False,
    ) -> None:
        self._connection = connection
        self._entries = entries
        self._create = create
        self._beside = create and beside

    def run(self) -> Iterator[Piece]:
        """Each meter, product and price, as it is reached.

        Raises:
            KeyUnavailable: there is no key.
            StripeUnavailable: Stripe did not answer.
            NotReadable: the key may not read prices or products.
            NotCreated: Stripe refused to create something.
        """
        meters = stripe_meters(self._connection)
        for entry in self._entries:
            meter = self._meter(entry, meters)
            yield meter
            yield from self._product_and_price(entry, meter.id if meter.well else None, meter.id)

    def _meter(self, entry: Entry, meters: Sequence[Meter]) -> Piece:
        of_name = [meter for meter in meters if meter.event_name == entry.event_name]
        active = next((meter for meter in of_name if meter.active), None)
        if active is not None:
            differences = tuple(meter_differences(active))
            found = Found.DIFFERS if differences else Found.PRESENT
            return Piece("meter", entry.event_name, found, active.id, differences)
        # One that counts otherwise was archived for good: it makes room for a right one.
        right = next((meter for meter in of_name if not any(meter_differences(meter))), None)
        if right is not None:
            return Piece("meter", entry.event_name, Found.DIFFERS, right.id, (_ARCHIVED,))
        if not self._create:
            return Piece("meter", entry.event_name, Found.MISSING)
        made = create_meter(self._connection, entry.event_name, entry.meter_name)
        return Piece("meter", entry.event_name, Found.CREATED, made)

    def _product_and_price(
        self, entry: Entry, usable: str | None, meter_id: str | None
    ) -> Iterator[Piece]:
        listed = () if meter_id is None else meter_prices(self._connection, meter_id)
        prices = [price for price in listed if price.terms.currency == entry.terms.currency]
        best = _best(prices, entry)
        if best is not None:
            yield Piece("product", entry.product_name, Found.PRESENT, best.product_id)
            differences = tuple(price_differences(best.terms, entry.terms))
            if differences and self._beside and usable is not None:
                made = create_price(self._connection, usable, best.product_id, entry.terms)
                yield Piece("price", _words(entry), Found.CREATED, made, replaces=best.id)
                return
            found = Found.DIFFERS if differences else Found.PRESENT
            yield Piece("price", _words(entry), found, best.id, differences)
            return
        product_id = product_named(self._connection, entry.product_name)
        if product_id is not None:
            yield Piece("product", entry.product_name, Found.PRESENT, product_id)
        elif self._create and usable is not None:
            product_id = create_product(self._connection, entry.product_name)
            yield Piece("product", entry.product_name, Found.CREATED, product_id)
        else:
            yield Piece("product", entry.product_name, Found.MISSING)
        if self._create and usable is not None and product_id is not None:
            made = create_price(self._connection, usable, product_id, entry.terms)
            yield Piece("price", _words(entry), Found.CREATED, made)
        else:
            # On a meter that counts otherwise a new price would only be moved again.
            yield Piece("price", _words(entry), Found.MISSING)


def _best(prices: Sequence[ListedPrice], entry: Entry) -> ListedPrice | None:
    """The price that is as it should be, else the newest."""
    for price in prices:
        if not any(price_differences(price.terms, entry.terms)):
            return price
    return prices[0] if prices else None


def _words(entry: Entry) -> str:
    terms = entry.terms
    unit = "byte" if terms.divide_by == 1 else f"{terms.divide_by:,} bytes, a part as a whole"
    return f"{terms.unit_amount:f} {terms.currency} (minor unit) per {unit}"
