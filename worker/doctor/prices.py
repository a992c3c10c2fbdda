"""The prices on the meters: usage without one is on no invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.doctor.asking import asked
from worker.doctor.check import NotChecked, failed, ok, warning
from worker.doctor.shell import billing
from worker.stripe_api.meters import stripe_meters
from worker.stripe_api.prices import meter_prices
from worker.stripe_setup.catalogue import price_differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.doctor.check import Verdict
    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_setup.catalogue import Entry


def look_at_price(stripe: StripeConnection, entry: Entry) -> Iterator[Verdict]:
    """Whether the meter has an active price, and whether it is the settings'."""
    with asked(stripe, "prices", "Prices"):
        meters = stripe_meters(stripe)
        meter = next((m for m in meters if m.active and m.event_name == entry.event_name), None)
        prices = () if meter is None else meter_prices(stripe, meter.id)
    if meter is None:
        raise NotChecked(f"there is no active meter, see meter {entry.event_name}")
    if not prices:
        yield failed(
            "no active price is on the meter: its usage is on no invoice",
            "create one; then subscribe the customers to it",
            billing("stripe", "setup"),
        )
        return
    same = [price for price in prices if price.terms.currency == entry.terms.currency]
    if any(not any(price_differences(price.terms, entry.terms)) for price in same):
        yield ok(", ".join(price.id for price in prices))
        return
    found = ", ".join(f"{price.id} ({price.terms.currency})" for price in prices)
    what = [each.what for price in same for each in price_differences(price.terms, entry.terms)]
    yield warning(
        f"no price is the settings' one: {found}" + (f": {what[0]}" if what else ""),
        "see how each differs; set SIFTBEAM_CURRENCY, SIFTBEAM_STORAGE_PRICE, "
        "SIFTBEAM_STORAGE_UNIT and SIFTBEAM_FILE_PRICE to Stripe's, so that preview and report "
        "reckon as Stripe bills",
        billing("stripe", "check"),
    )
