"""Creating in Stripe: what a refusal to create something is turned into."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import stripe

from worker.errors import Permanent
from worker.stripe_api.connection import describe

if TYPE_CHECKING:
    from collections.abc import Iterator


class NotCreated(Permanent):
    """Stripe did not create something; says what, and Stripe's words."""


@contextmanager
def creating(what: str) -> Iterator[None]:
    """Turn the library's errors into ours.

    Raises:
        NotCreated: Stripe refused, or did not answer.
    """
    try:
        yield
    except stripe.StripeError as error:
        raise NotCreated(f"{what} was not created: {describe(error)}") from None
