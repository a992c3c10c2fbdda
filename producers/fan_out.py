"""The fan-out: one message per customer, or per completed run, onto the right queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from producers.identity import check_customer_id
from producers.messages import BillCustomerMonth, FileProcessed, SizeCustomer, StripeEvent
from producers.queues import Queue, QueueDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date

    from producers.billing_month import BillingMonth
    from producers.outbox import Outbox

_KEPT_EXAMPLES = 20


@dataclass(slots=True)
class FanOutCount:
    """What a fan-out did: messages sent, and ids that can be nobody's."""

    sent: int = 0
    refused: int = 0
    examples: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Count an id that was left out; the first twenty reasons are kept."""
        self.refused += 1
        if len(self.examples) < _KEPT_EXAMPLES:
            self.examples.append(reason)


class FanOut:
    """Puts one message per customer or run on its queue.

    An id that cannot be a customer's is counted and left out; it does not stop the others.

    Args:
        outbox: sends the messages; None counts and sends nothing (a dry run).
        queues: where the queues are.
    """

    def __init__(self, outbox: Outbox | None, queues: QueueDirectory) -> None:
        self._outbox = outbox
        self._queues = queues

    @property
    def sends(self) -> bool:
        """Whether messages are sent, or only counted."""
        return self._outbox is not None

    def daily(self, customers: Iterable[str], day: date) -> FanOutCount:
        """Enqueue the sizing of every customer as the row of ``day`` (UTC)."""
        return self._per_customer(
            Queue.DAILY_SIZING,
            customers,
            lambda customer: SizeCustomer(customer_id=customer, date=day).body(),
        )

    def monthly(
        self, customers: Iterable[str], month: BillingMonth, through: date | None = None
    ) -> FanOutCount:
        """Enqueue the billing of ``month`` for every customer, up to a day where one is named."""
        text = str(month)
        return self._per_customer(
            Queue.MONTHLY_BILLING,
            customers,
            lambda customer: BillCustomerMonth(
                customer_id=customer, billing_month=text, through=through
            ).body(),
        )

    def completions(self, files: Iterable[FileProcessed]) -> FanOutCount:
        """Enqueue outputs of processing runs."""
        count = FanOutCount()
        self._send(Queue.FILE_PROCESSED, (file.body() for file in files), count)
        return count

    def stripe_events(self, event_ids: Iterable[str]) -> FanOutCount:
        """Enqueue Stripe's error reports."""
        count = FanOutCount()
        self._send(
            Queue.STRIPE_EVENTS,
            (StripeEvent(event_id=event_id).body() for event_id in event_ids),
            count,
        )
        return count

    def again(self, queue: Queue, bodies: Iterable[str]) -> FanOutCount:
        """Enqueue bodies that were once on ``queue``, as they were."""
        count = FanOutCount()
        self._send(queue, bodies, count)
        return count

    def _per_customer(
        self, queue: Queue, customers: Iterable[str], body: Callable[[str], str]
    ) -> FanOutCount:
        count = FanOutCount()
        self._send(queue, (body(customer) for customer in _valid(customers, count)), count)
        return count

    def _send(self, queue: Queue, bodies: Iterable[str], count: FanOutCount) -> None:
        if self._outbox is None:
            count.sent = sum(1 for _ in bodies)
        else:
            count.sent = self._outbox.send(self._queues.url(queue), bodies)


def _valid(customers: Iterable[str], count: FanOutCount) -> Iterator[str]:
    for customer in customers:
        try:
            yield check_customer_id(customer)
        except ValueError as error:
            count.refuse(str(error))
