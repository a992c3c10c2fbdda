"""What really happened: what counts, what was refused or cancelled, what was invoiced."""

from collections import defaultdict

from pydantic import BaseModel, ConfigDict

from infra.stripe_simulator.books import Books
from infra.stripe_simulator.invoices import Line
from infra.stripe_simulator.meter_events import MeterEvent


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class CountedEvent(_Frozen):
    """An accepted event. Times are epoch seconds.

    Attributes:
        value: As it was sent.
        offers: How often it was sent, duplicates included.
        invoices: The invoices that bill it, drafts included; none at all is usage nobody pays.
    """

    identifier: str
    customer: str
    event_name: str
    value: str
    timestamp: int
    received_at: int
    offers: int
    invoices: tuple[str, ...]


class RefusedEvent(CountedEvent):
    """An event refused after acceptance."""

    code: str
    refused_at: int


class CancelledEvent(CountedEvent):
    """An event that was cancelled."""

    cancelled_at: int


class Total(_Frozen):
    """The sum of what counts, per customer and event name."""

    customer: str
    event_name: str
    value: int
    events: int


class InvoicedLine(_Frozen):
    """An invoice line. `usage` is before, `quantity` after `transform_quantity`; minor units."""

    invoice: str
    status: str
    customer: str
    subscription: str
    event_name: str
    price: str
    currency: str
    period_start: int
    period_end: int
    usage: int
    quantity: int
    amount: int


class Truth(_Frozen):
    """Everything, or what concerns one customer or event name."""

    counted: tuple[CountedEvent, ...]
    refused: tuple[RefusedEvent, ...]
    cancelled: tuple[CancelledEvent, ...]
    totals: tuple[Total, ...]
    lines: tuple[InvoicedLine, ...]


def tell(books: Books, customer: str | None = None, event_name: str | None = None) -> Truth:
    """The truth about `customer` and `event_name`, or about all."""
    drafts: defaultdict[int, list[str]] = defaultdict(list)
    lines: list[InvoicedLine] = []
    for invoice in books.invoices.all(customer):
        for line in invoice.lines:
            billed = _invoiced(books, line, invoice.status, invoice.subscription.customer)
            if event_name in (None, billed.event_name):
                lines.append(billed)
            if invoice.status == "draft":
                for event in books.invoices.events_of(line):
                    drafts[id(event)].append(invoice.id)
    counted: list[CountedEvent] = []
    refused: list[RefusedEvent] = []
    cancelled: list[CancelledEvent] = []
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for event in books.events.all():
        if customer not in (None, event.customer) or event_name not in (None, event.event_name):
            continue
        plain = _counted(event, drafts.get(id(event), []))
        if event.refused is not None and event.refused_at is not None:
            refused.append(
                RefusedEvent(**dict(plain), code=event.refused, refused_at=event.refused_at)
            )
        elif event.cancelled_at is not None:
            cancelled.append(CancelledEvent(**dict(plain), cancelled_at=event.cancelled_at))
        else:
            counted.append(plain)
            sums[event.customer, event.event_name].append(event.value)
    totals = tuple(
        Total(customer=who, event_name=what, value=sum(values), events=len(values))
        for (who, what), values in sorted(sums.items())
    )
    return Truth(
        counted=tuple(counted),
        refused=tuple(refused),
        cancelled=tuple(cancelled),
        totals=totals,
        lines=tuple(lines),
    )


def _counted(event: MeterEvent, drafts: list[str]) -> CountedEvent:
    return CountedEvent(
        identifier=event.identifier,
        customer=event.customer,
        event_name=event.event_name,
        value=event.text,
        timestamp=event.timestamp,
        received_at=event.received_at,
        offers=event.offers,
        invoices=(*event.invoices, *drafts),
    )


def _invoiced(books: Books, line: Line, status: str, customer: str) -> InvoicedLine:
    price = line.item.price
    return InvoicedLine(
        invoice=line.invoice,
        status=status,
        customer=customer,
        subscription=line.subscription,
        event_name=books.meters.get(price.meter).event_name,
        price=price.id,
        currency=price.currency,
        period_start=line.start,
        period_end=line.end,
        usage=line.usage,
        quantity=line.quantity,
        amount=line.amount,
    )
