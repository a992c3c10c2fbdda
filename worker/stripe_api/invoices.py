"""Stripe's invoices: whether usage with a given timestamp can still reach one.

Usage reaches an invoice only while it is a draft; after its grace period it is final, and what
arrives later is on none (https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import stripe
import structlog

from producers.instant import epoch_seconds
from worker.stripe_api.connection import StripeUnavailable, describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from worker.stripe_api.connection import StripeConnection

_log = structlog.get_logger()
_PAGE = 100
_RETRIES = 2
_NOT_ALLOWED = frozenset({403, 404})
_DRAFT = "draft"


class Invoices(Protocol):
    """Says whether usage would come too late."""

    def final_for(
        self, customer_id: str, event_name: str, stamped_at: datetime, now: datetime
    ) -> str | None:
        """The id of the final invoice that such usage can no longer reach; None where it can."""
        ...


class StripeInvoices:
    """Asks Stripe.

    Args:
        connection: gives the client.
        grace: how long an invoice stays a draft after its period, as the account has it set. No
            invoice over a stamp can be final before stamp and grace have passed, so Stripe is not
            asked before that.
    """

    def __init__(self, connection: StripeConnection, grace: timedelta) -> None:
        self._connection = connection
        self._grace = grace
        self._event_names: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def final_for(
        self, customer_id: str, event_name: str, stamped_at: datetime, now: datetime
    ) -> str | None:
        """The id of the final invoice that such usage can no longer reach; None where it can.

        A key that may not read invoices cannot tell; that is logged, and nothing is held back.

        Raises:
            StripeUnavailable: Stripe did not answer.
        """
        if now < stamped_at + self._grace:
            return None
        try:
            return self._final(customer_id, event_name, epoch_seconds(stamped_at))
        except stripe.StripeError as error:
            if error.http_status in _NOT_ALLOWED:
                _log.warning(
                    "the key may not read invoices: usage may come after its invoice is final",
                    action="invoices_unreadable",
                    customer=customer_id,
                    error=describe(error),
                )
                return None
            raise StripeUnavailable(f"Stripe's invoices: {describe(error)}") from None

    def _final(self, customer_id: str, event_name: str, stamp: int) -> str | None:
        client = self._connection.keyed_client().client
        invoices = client.v1.invoices.list(
            {"customer": customer_id, "created": {"gte": stamp}, "limit": _PAGE},
            {"max_network_retries": _RETRIES},
        )
        found: str | None = None
        for invoice in invoices.auto_paging_iter():
            if any(
                line.period.start <= stamp < line.period.end
                and self._meters(line, client) == event_name
                for line in self._lines(invoice, client)
            ):
                if invoice.status == _DRAFT:
                    return None
                found = invoice.id
        return found

    def _lines(
        self, invoice: stripe.Invoice, client: stripe.StripeClient
    ) -> Iterator[stripe.InvoiceLineItem]:
        if not invoice.lines.has_more:
            yield from invoice.lines.data
            return
        lines = client.v1.invoices.line_items.list(
            invoice.id, {"limit": _PAGE}, {"max_network_retries": _RETRIES}
        )
        yield from lines.auto_paging_iter()

    def _meters(self, line: stripe.InvoiceLineItem, client: stripe.StripeClient) -> str | None:
        """The event name of the meter that a line's price bills; None for another price."""
        details = line.pricing.price_details if line.pricing is not None else None
        if details is None:
            return None
        price_id = details.price if isinstance(details.price, str) else details.price.id
        with self._lock:
            if price_id in self._event_names:
                return self._event_names[price_id]
        options: stripe.RequestOptions = {"max_network_retries": _RETRIES}
        price = client.v1.prices.retrieve(price_id, None, options)
        meter_id = price.recurring.meter if price.recurring is not None else None
        name = None
        if meter_id is not None:
            name = client.v1.billing.meters.retrieve(meter_id, None, options).event_name
        with self._lock:
            self._event_names[price_id] = name
        return name
