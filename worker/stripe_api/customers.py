"""Stripe's customer list: https://docs.stripe.com/api/customers/list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import stripe

from worker.stripe_api.connection import StripeUnavailable, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.stripe_api.connection import StripeConnection

_PAGE = 100
_RETRIES = 3
_NOT_FOUND = 404


def stripe_customer_ids(connection: StripeConnection) -> Iterator[str]:
    """The id of every customer, paged to the end.

    Raises:
        StripeUnavailable: a page was refused or did not come.
    """
    client = connection.keyed_client().client
    try:
        page = client.v1.customers.list({"limit": _PAGE}, {"max_network_retries": _RETRIES})
        for customer in page.auto_paging_iter():
            yield customer.id
    except stripe.StripeError as error:
        raise StripeUnavailable(f"Stripe's customer list: {describe(error)}") from None


def customer_problem(connection: StripeConnection, customer_id: str) -> str | None:
    """Why Stripe would not count usage of a customer; None where it would.

    Raises:
        StripeUnavailable: Stripe did not answer.
    """
    client = connection.keyed_client().client
    try:
        customer = client.v1.customers.retrieve(
            customer_id, None, {"max_network_retries": _RETRIES}
        )
    except stripe.InvalidRequestError as error:
        if error.http_status == _NOT_FOUND:
            return f"Stripe knows no customer {customer_id}"
        raise StripeUnavailable(f"Stripe's customer: {describe(error)}") from None
    except stripe.StripeError as error:
        raise StripeUnavailable(f"Stripe's customer: {describe(error)}") from None
    deleted = getattr(customer, "deleted", False)
    return f"{customer_id} was deleted in Stripe" if deleted else None
