"""Invoices, derived from subscriptions, meter events and the clock.

A draft is made when a period ends; it takes usage of its period until it is final, after the
grace period, and later usage is on no invoice. Sources:
    https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period
    https://docs.stripe.com/api/invoices (`automatically_finalizes_at`)
    https://docs.stripe.com/api/invoice-line-item
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.errors import ApiError, not_found
from infra.stripe_simulator.forms import Form
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.meter_events import MeterEvent, MeterEvents
from infra.stripe_simulator.meters import Meters
from infra.stripe_simulator.paging import PAGING, page
from infra.stripe_simulator.settings import Settings
from infra.stripe_simulator.subscriptions import Item, Subscription
from infra.stripe_simulator.summaries import aggregate

_BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_HOUR = 3600
_LINES_INLINE = 10


@dataclass(frozen=True, slots=True)
class Line:
    """An invoice line: the usage of one price in [start, end). Amounts in minor units."""

    id: str
    invoice: str
    subscription: str
    item: Item
    usage: int
    start: int
    end: int
    livemode: bool

    @property
    def quantity(self) -> int:
        """The units billed, after `transform_quantity`."""
        return self.item.price.quantity(self.usage)

    @property
    def amount(self) -> int:
        """Minor units."""
        return self.item.price.amount(self.quantity)

    def json(self) -> Json:
        """Stripe's JSON form."""
        price = self.item.price
        return {
            "id": self.id,
            "object": "line_item",
            "amount": self.amount,
            "currency": price.currency,
            "description": f"{self.quantity} x {price.nickname or price.product}",
            "invoice": self.invoice,
            "livemode": self.livemode,
            "metadata": {},
            "parent": {
                "type": "subscription_item_details",
                "subscription_item_details": {
                    "subscription": self.subscription,
                    "subscription_item": self.item.id,
                },
            },
            "period": {"start": self.start, "end": self.end},
            "pricing": {
                "type": "price_details",
                "price_details": {"price": price.id, "product": price.product},
                "unit_amount_decimal": format(price.unit_amount, "f"),
            },
            "quantity": self.quantity,
            "quantity_decimal": str(self.quantity),
            "subtotal": self.amount,
        }


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice and its lines. Times are epoch seconds."""

    id: str
    subscription: Subscription
    period_start: int
    period_end: int
    created: int
    finalizes_at: int
    finalized_at: int | None = None
    lines: tuple[Line, ...] = ()

    @property
    def total(self) -> int:
        """Minor units."""
        return sum(line.amount for line in self.lines)

    @property
    def status(self) -> str:
        """`draft`; then `open`, or `paid` where nothing is to pay."""
        if self.finalized_at is None:
            return "draft"
        return "open" if self.total else "paid"

    def json(self) -> Json:
        """Stripe's JSON form."""
        final = self.finalized_at is not None
        return {
            "id": self.id,
            "object": "invoice",
            "amount_due": self.total,
            "amount_paid": 0,
            "auto_advance": not final,
            "automatically_finalizes_at": None if final else self.finalizes_at,
            "billing_reason": "subscription_cycle",
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.subscription.items[0].price.currency,
            "customer": self.subscription.customer,
            "lines": {
                "object": "list",
                "url": f"/v1/invoices/{self.id}/lines",
                "has_more": len(self.lines) > _LINES_INLINE,
                "data": [line.json() for line in self.lines[:_LINES_INLINE]],
            },
            "livemode": self.subscription.livemode,
            "metadata": {},
            "number": self.id.upper().replace("_", "-") if final else None,
            "parent": {
                "type": "subscription_details",
                "subscription_details": {"subscription": self.subscription.id, "metadata": {}},
            },
            "period_start": self.period_start,
            "period_end": self.period_end,
            "status": self.status,
            "status_transitions": {"finalized_at": self.finalized_at},
            "subtotal": self.total,
            "total": self.total,
        }


class Invoices:
    """All invoices."""

    def __init__(
        self, ids: Ids, meters: Meters, events: MeterEvents, settings: Callable[[], Settings]
    ) -> None:
        self._ids = ids
        self._meters = meters
        self._events = events
        self._settings = settings
        self._invoices: dict[str, Invoice] = {}
        self._drafts: dict[str, Invoice] = {}
        self._next_final: int | None = None

    def open(self, subscription: Subscription, at: int) -> None:
        """Make the draft for a period that ended; it becomes final after the grace period."""
        identity = self._ids.next("in")
        invoice = Invoice(
            id=identity,
            subscription=subscription,
            period_start=subscription.period_start,
            period_end=subscription.period_end,
            created=at,
            finalizes_at=at + self._settings().grace_hours * _HOUR,
        )
        self._invoices[identity] = self._drafts[identity] = invoice
        if self._next_final is None or invoice.finalizes_at < self._next_final:
            self._next_final = invoice.finalizes_at

    def next_final(self) -> int | None:
        """When the next draft becomes final, in epoch seconds."""
        return self._next_final

    def finalize_due(self, now: int) -> None:
        """Make every draft final whose grace period is over."""
        for draft in list(self._drafts.values()):
            if draft.finalizes_at <= now:
                self._finalize(draft, draft.finalizes_at)
        self._find_next_final()

    def finalize(self, call: Call) -> Json:
        """`POST /v1/invoices/{id}/finalize`."""
        call.form.only("auto_advance")
        draft = self._drafts.get(self._get(call.args[0]).id)
        if draft is None:
            raise ApiError(400, "This invoice is already finalized.", executed=True)
        final = self._finalize(draft, call.now)
        self._find_next_final()
        return final.json()

    def retrieve(self, call: Call) -> Json:
        """`GET /v1/invoices/{id}`."""
        return self._get(call.args[0]).json()

    def list(self, call: Call) -> Json:
        """`GET /v1/invoices`, by customer, subscription, status and `created[gte]` and its kin."""
        form = call.form
        form.only("customer", "subscription", "status", "created", *PAGING)
        created = _created_bounds(form.section("created"))
        customer, subscription = form.text("customer"), form.text("subscription")
        status = form.choice("status", "draft", "open", "paid", "uncollectible", "void")
        found = [
            invoice
            for invoice in reversed(self._invoices.values())
            if customer in (None, invoice.subscription.customer)
            and subscription in (None, invoice.subscription.id)
            and status in (None, invoice.status)
            and all(fits(invoice.created, bound) for fits, bound in created)
        ]
        return page(found, call, lambda invoice: self._with_lines(invoice).json())

    def list_lines(self, call: Call) -> Json:
        """`GET /v1/invoices/{id}/lines`."""
        call.form.only(*PAGING)
        return page(self._get(call.args[0]).lines, call)

    def preview(self, subscription: Subscription, call: Call) -> Json:
        """`POST /v1/invoices/create_preview`: the current period so far."""
        preview = Invoice(
            id=f"upcoming_{subscription.id}",
            subscription=subscription,
            period_start=subscription.period_start,
            period_end=subscription.period_end,
            created=call.now,
            finalizes_at=subscription.period_end + self._settings().grace_hours * _HOUR,
        )
        return self._with_lines(preview).json()

    def all(self, customer: str | None) -> Sequence[Invoice]:
        """All invoices (of a customer), drafts with the lines they would have now; oldest first."""
        return [
            self._with_lines(invoice)
            for invoice in self._invoices.values()
            if customer in (None, invoice.subscription.customer)
        ]

    def events_of(self, line: Line) -> Iterator[MeterEvent]:
        """What a draft's line counts now."""
        invoice = self._invoices[line.invoice]
        return self._events.usage(
            line.item.price.meter,
            invoice.subscription.customer,
            line.start,
            line.end,
            received_by=invoice.finalizes_at,
        )

    def _get(self, identity: str) -> Invoice:
        invoice = self._invoices.get(identity)
        if invoice is None:
            raise not_found("invoice", identity)
        return self._with_lines(invoice)

    def _finalize(self, draft: Invoice, at: int) -> Invoice:
        final = replace(self._with_lines(replace(draft, finalizes_at=at)), finalized_at=at)
        for line in final.lines:
            for event in self.events_of(line):
                event.invoices = (*event.invoices, final.id)
        self._invoices[final.id] = final
        del self._drafts[final.id]
        return final

    def _find_next_final(self) -> None:
        self._next_final = min(
            (draft.finalizes_at for draft in self._drafts.values()), default=None
        )

    def _with_lines(self, invoice: Invoice) -> Invoice:
        if invoice.finalized_at is not None:
            return invoice
        lines = tuple(
            Line(
                id=f"il_{invoice.id}_{item.id}",
                invoice=invoice.id,
                subscription=invoice.subscription.id,
                item=item,
                usage=self._usage(invoice, item),
                start=invoice.period_start,
                end=invoice.period_end,
                livemode=invoice.subscription.livemode,
            )
            for item in invoice.subscription.items
        )
        return replace(invoice, lines=lines)

    def _usage(self, invoice: Invoice, item: Item) -> int:
        events = self._events.usage(
            item.price.meter,
            invoice.subscription.customer,
            invoice.period_start,
            invoice.period_end,
            received_by=invoice.finalizes_at,
        )
        return aggregate(self._meters.get(item.price.meter).formula, events)


def _created_bounds(form: Form) -> list[tuple[Callable[[int, int], bool], int]]:
    form.only(*_BOUNDS)
    return [
        (fits, bound) for name, fits in _BOUNDS.items() if (bound := form.integer(name)) is not None
    ]
