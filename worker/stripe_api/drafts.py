"""The grace period that Stripe's draft invoices tell.

https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.stripe_api.reading import reading

if TYPE_CHECKING:
    from worker.stripe_api.connection import StripeConnection

_DRAFTS = 100
_RETRIES = 2
_OF_A_PERIOD = "subscription_cycle"


def grace_of_drafts(connection: StripeConnection) -> timedelta | None:
    """The shortest time that the latest drafts of a period's end stay drafts; None without any.

    Raises:
        NotReadable: the key may not read invoices.
        StripeUnavailable: Stripe did not answer.
    """
    client = connection.keyed_client().client
    with reading("invoices"):
        page = client.v1.invoices.list(
            {"status": "draft", "limit": _DRAFTS}, {"max_network_retries": _RETRIES}
        )
        found = [
            timedelta(seconds=invoice.automatically_finalizes_at - invoice.period_end)
            for invoice in page.data
            if invoice.billing_reason == _OF_A_PERIOD
            and invoice.automatically_finalizes_at is not None
        ]
    return min(found, default=None)
