"""Asking Stripe and reading tables for a check: what a refusal or silence says of the check."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.doctor.check import NotChecked
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable
from worker.stripe_api.reading import NotReadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.stripe_api.connection import StripeConnection

_ABSENT = frozenset({"ResourceNotFoundException", "ValidationException"})


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


@contextmanager
def tables_there(what: str) -> Iterator[None]:
    """Reads of our tables: where one or its index is missing, the table's own check says so.

    Args:
        what: which tables are read.

    Raises:
        NotChecked: one of them, or an index, is not there.
    """
    try:
        yield
    except ClientError as error:
        # DynamoDB calls a missing index a wrong request:
        # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        raise NotChecked(f"{what} or an index is missing, see the tables") from None
