"""The two meters in Stripe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.doctor.check import NotChecked, failed, ok
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable
from worker.stripe_api.meters import stripe_meters
from worker.stripe_setup.catalogue import meter_differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.doctor.check import Verdict
    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.meters import Meter


def look_at_meter(stripe: StripeConnection, event_name: str, setting: str) -> Iterator[Verdict]:
    """Whether the meter of an event name counts what we send.

    Args:
        stripe: the connection.
        event_name: as the settings have it.
        setting: the variable that sets it.
    """
    try:
        stripe.account()
    except (KeyUnavailable, StripeUnavailable):
        raise NotChecked("Stripe cannot be asked, see Stripe") from None
    try:
        meters = stripe_meters(stripe)
    except StripeUnavailable as error:
        yield failed(
            f"could not be checked: {error}",
            "give the key read access to Meters in Stripe (Developers, API keys), if it is a "
            "restricted one",
        )
        return
    yield from judge(meters, event_name, setting)


def judge(meters: Sequence[Meter], event_name: str, setting: str) -> Iterator[Verdict]:
    """What is wrong with the active meter of an event name, or that there is none."""
    of_name = [meter for meter in meters if meter.event_name == event_name]
    active = next((meter for meter in of_name if meter.active), None)
    if active is not None:
        yield ok(f"{active.id}, {active.formula} of {active.value_key}")
        yield from _faults(active)
    elif of_name:
        yield failed(
            f"the meter is archived ({of_name[0].id}): Stripe refuses its events",
            "reactivate it in Stripe (Billing, Meters)",
        )
    else:
        others = ", ".join(sorted({meter.event_name for meter in meters if meter.active}))
        yield failed(
            f"there is no meter with the event name {event_name}; there are: {others or 'none'}",
            f"create it (`siftbeam-billing stripe setup`), or set {setting} to the event name in "
            "Stripe",
        )


def _faults(meter: Meter) -> Iterator[Verdict]:
    for difference in meter_differences(meter):
        yield failed(f"meter {meter.id}: {difference.what}", difference.why)
