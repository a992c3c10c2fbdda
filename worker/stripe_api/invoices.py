"""Stripe's invoices: what they bill, and whether usage can still reach one.

Usage reaches an invoice only while it is a draft; after its grace period it is final, and what
arrives later is on none (https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import structlog

from producers.instant import epoch_seconds, from_epoch
from worker.stripe_api.reading import NotReadable, UnknownCustomer, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    import stripe

    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.metered_prices import MeteredPrice, MeteredPrices

_log = structlog.get_logger()
_PAGE = 100
_RETRIES = 2
_DRAFT = "draft"
_VOID = "void"


@dataclass(frozen=True, slots=True)
class UsageLine:
    """An invoice line that bills a meter's usage (https://docs.stripe.com/api/invoice-line-item).

    Args:
        invoice_id: the invoice.
        status: the invoice's: ``draft``, ``open``, ``paid``, ``uncollectible``, ``void``.
        finalized_at: when it became final; None while it is a draft.
        price: what is billed.
        quantity: how many units of it; whole, unless somebody edited the line.
        start: the usage's period, inclusive; UTC.
        end: its end, exclusive.
    """

    invoice_id: str
    status: str
    finalized_at: datetime | None
    price: MeteredPrice
    quantity: Decimal
    start: datetime
    end: datetime

    @property
    def draft(self) -> bool:
        """Whether it still changes."""
        return self.status == _DRAFT

    @property
    def void(self) -> bool:
        """Whether it bills nothing any more."""
        return self.status == _VOID

    def covers(self, stamped_at: datetime) -> bool:
        """Whether usage with that timestamp belongs on it."""
        return self.start <= stamped_at < self.end


class Invoices(Protocol):
    """Says whether usage would come too late."""

    def final_for(
        self, customer_id: str, event_name: str, stamped_at: datetime, now: datetime
    ) -> str | None:
        """The id of the final invoice that such usage can no longer reach; None where it can."""
        ...


class UsageLines(Protocol):
    """Says what customers are billed for."""

    def usage_lines(
        self, customer_id: str, start: datetime, end: datetime
    ) -> tuple[UsageLine, ...]:
        """The lines whose usage lies, at least in part, between two instants."""
        ...


class StripeInvoices:
    """Asks Stripe.

    Args:
        connection: gives the client.
        prices: knows the prices.
        grace: how long an invoice stays a draft after its period, as the account has it set. No
            invoice over a stamp can be final before stamp and grace have passed, so Stripe is not
            asked before that.
    """

    def __init__(
        self, connection: StripeConnection, prices: MeteredPrices, grace: timedelta
    ) -> None:
        self._connection = connection
        self._prices = prices
        self._grace = grace

    def usage_lines(
        self, customer_id: str, start: datetime, end: datetime
    ) -> tuple[UsageLine, ...]:
        """The lines whose usage lies, at least in part, between two instants; void ones too.

        A metered line's invoice is made when its period is over, so never before ``start``.

        Raises:
            NotReadable: the key may not read invoices or prices.
            StripeUnavailable: Stripe did not answer.
        """
        client = self._connection.keyed_client().client
        try:
            with reading("invoices"):
                invoices = client.v1.invoices.list(
                    {
                        "customer": customer_id,
                        "created": {"gte": epoch_seconds(start)},
                        "limit": _PAGE,
                    },
                    {"max_network_retries": _RETRIES},
                )
                return tuple(
                    line
                    for invoice in invoices.auto_paging_iter()
                    for line in self._usage_lines(invoice, client)
                    if line.start < end and start < line.end
                )
        except UnknownCustomer:
            return ()

    def _usage_lines(
        self, invoice: stripe.Invoice, client: stripe.StripeClient
    ) -> Iterator[UsageLine]:
        for line in self._lines(invoice, client):
            price = self._price(line, client)
            if price is None:
                continue
            finalized_at = invoice.status_transitions.finalized_at
            yield UsageLine(
                invoice_id=invoice.id,
                status=invoice.status or _DRAFT,
                finalized_at=None if finalized_at is None else from_epoch(finalized_at),
                price=price,
                quantity=_quantity(line),
                start=from_epoch(line.period.start),
                end=from_epoch(line.period.end),
            )

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
            with reading("invoices"):
                return self._final(customer_id, event_name, epoch_seconds(stamped_at))
        except UnknownCustomer:
            return None
        except NotReadable as error:
            _log.warning(
                "invoices cannot be read: usage may come after its invoice is final",
                action="invoices_unreadable",
                customer=customer_id,
                error=str(error),
            )
            return None

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
                and (price := self._price(line, client)) is not None
                and price.event_name == event_name
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

    def _price(
        self, line: stripe.InvoiceLineItem, client: stripe.StripeClient
    ) -> MeteredPrice | None:
        details = line.pricing.price_details if line.pricing is not None else None
        if details is None:
            return None
        price = details.price
        if isinstance(price, str):
            return self._prices.with_id(price, client)
        return self._prices.of(price, client)


def _quantity(line: stripe.InvoiceLineItem) -> Decimal:
    """The whole of it, where Stripe tells it: ``quantity`` has the part of a unit cut off."""
    exact: Decimal | None = getattr(line, "quantity_decimal", None)
    return Decimal(line.quantity or 0) if exact is None else exact
