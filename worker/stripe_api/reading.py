"""Reading from Stripe: which refusals mean "not now", and which mean "not with this key"."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import stripe

from worker.errors import Permanent
from worker.stripe_api.connection import StripeUnavailable, cannot_tell, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

_CUSTOMER = "customer"


class NotReadable(Permanent):
    """The key may not read it, or the other end has no such thing at all.

    A restricted key lacks the permission (https://docs.stripe.com/keys#limit-access).
    """


class UnknownCustomer(Permanent):
    """Stripe knows no such customer."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn the library's errors into ours.

    Args:
        what: what is read, in the plural, for the reason.

    Raises:
        NotReadable: the key may not read it.
        UnknownCustomer: Stripe knows no such customer.
        StripeUnavailable: Stripe did not answer.
    """
    try:
        yield
    except stripe.StripeError as error:
        if isinstance(error, stripe.InvalidRequestError) and error.param == _CUSTOMER:
            raise UnknownCustomer(f"Stripe's {what}: {describe(error)}") from None
        if cannot_tell(error):
            raise NotReadable(f"the key may not read {what}: {describe(error)}") from None
        raise StripeUnavailable(f"Stripe's {what}: {describe(error)}") from None
    except (AttributeError, KeyError, TypeError) as error:
        # The library hands on whatever JSON came: another shape shows only where it is used.
        raise NotReadable(f"the answer about {what} has another shape: {error}") from None
