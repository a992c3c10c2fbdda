"""What a restricted key may do, tried on questions that change nothing.

https://docs.stripe.com/keys#limit-access
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import stripe as library

from worker.doctor.asking import asked
from worker.doctor.check import failed, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.doctor.check import Verdict
    from worker.stripe_api.connection import StripeConnection

_FORBIDDEN = 403


def look_at_permissions(stripe: StripeConnection) -> Iterator[Verdict]:
    """Whether the key may do what billing needs, and what reconciling needs."""
    with asked(stripe, "the key's permissions", "Account"):
        keyed = stripe.keyed_client()
    if not keyed.restricted:
        yield ok("a secret key may do everything; a restricted one would do")
        return
    client = keyed.client.v1
    needed: tuple[tuple[str, Callable[[], object]], ...] = (
        # Without its parameters Stripe takes no event; it says first that the key may not.
        (
            "Meter events: write",
            lambda: keyed.client.raw_request("post", "/v1/billing/meter_events"),
        ),
        ("Meters: read", lambda: client.billing.meters.list({"limit": 1})),
    )
    useful: tuple[tuple[str, Callable[[], object]], ...] = (
        ("Customers: read", lambda: client.customers.list({"limit": 1})),
        ("Prices: read", lambda: client.prices.list({"limit": 1})),
        ("Subscriptions: read", lambda: client.subscriptions.list({"limit": 1})),
        ("Invoices: read", lambda: client.invoices.list({"limit": 1})),
        (
            "Events: read",
            lambda: keyed.client.v2.core.events.list({"limit": 1}),
        ),
    )
    lacking = [name for name, call in needed if _is_forbidden(call)]
    missed = [name for name, call in useful if _is_forbidden(call)]
    if lacking:
        yield failed(
            f"the restricted key lacks {', '.join(lacking)}: nothing can be billed",
            "grant it in Stripe (Developers, API keys, edit the key)",
        )
    if missed:
        yield warning(
            f"the restricted key lacks {', '.join(missed)}: late refusals, invoices and "
            "subscriptions cannot all be looked at",
            "grant it in Stripe (Developers, API keys, edit the key)",
        )
    yield ok("a restricted key with every permission that is needed")


def _is_forbidden(call: Callable[[], object]) -> bool:
    try:
        call()
    except library.StripeError as error:
        return error.http_status == _FORBIDDEN
    return False
