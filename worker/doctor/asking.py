"""Asking Stripe for a check: what a refusal or silence says of the check."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker.doctor.check import NotChecked
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable
from worker.stripe_api.reading import NotReadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.stripe_api.connection import StripeConnection


@contextmanager
def asked(stripe: StripeConnection, what: str, permission: str) -> Iterator[None]:
    """Questions to Stripe: without a usable key or an answer the check is not made.

    Args:
        stripe: the connection.
        what: what is asked about.
        permission: as Stripe's dashboard names it.

    Raises:
        NotChecked: Stripe cannot be used at all, which another check says; or the key may not
            read it.
    """
    try:
        stripe.account()
    except (KeyUnavailable, StripeUnavailable):
        raise NotChecked("Stripe cannot be asked, see Stripe") from None
    try:
        yield
    except (NotReadable, StripeUnavailable) as error:
        raise NotChecked(
            f"{what}: {error}; give the key read access to {permission} (Developers, API keys) if "
            "it is a restricted one"
        ) from None
