"""The two meters in Stripe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.doctor.asking import asked
from worker.doctor.check import failed, ok
from worker.doctor.shell import billing, stripe_post
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
    with asked(stripe, "meters", "Meters"):
        live = stripe.account().livemode
        meters = stripe_meters(stripe)
    yield from judge(meters, event_name, setting, live=live)


def judge(
    meters: Sequence[Meter], event_name: str, setting: str, *, live: bool = False
) -> Iterator[Verdict]:
    """What is wrong with the active meter of an event name, or that there is none."""
    of_name = [meter for meter in meters if meter.event_name == event_name]
    active = next((meter for meter in of_name if meter.active), None)
    if active is not None:
        yield ok(f"{active.id}, {active.formula} of {active.value_key}")
        differences = tuple(meter_differences(active))
        if differences:
            yield failed(
                f"meter {active.id}: {', '.join(each.what for each in differences)}",
                differences[0].why,
                stripe_post(f"/v1/billing/meters/{active.id}/deactivate", {}, live=live),
                billing("stripe", "setup"),
            )
        return
    right = next((meter for meter in of_name if not any(meter_differences(meter))), None)
    if right is not None:
        yield failed(
            f"the meter is archived ({right.id}): Stripe refuses its events",
            "reactivate it in Stripe (Billing, Meters)",
            stripe_post(f"/v1/billing/meters/{right.id}/reactivate", {}, live=live),
        )
    else:
        others = ", ".join(sorted({meter.event_name for meter in meters if meter.active}))
        yield failed(
            f"there is no meter with the event name {event_name}; there are: {others or 'none'}",
            f"create it, or set {setting} to the event name in Stripe",
            billing("stripe", "setup"),
        )
