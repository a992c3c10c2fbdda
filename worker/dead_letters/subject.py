"""What a letter is about: its kind, its customers and the messages that a worker would read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from producers.messages import (
    BillCustomerMonth,
    FileProcessed,
    Message,
    SizeCustomer,
    UnreadableMessage,
    parse_object,
)
from producers.reading import read_body

if TYPE_CHECKING:
    from worker.prefixes import Prefixes

UNREADABLE = "unreadable"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a letter is about.

    Args:
        kind: a message's kind (S3's events count as ``file_processed``, schedules' as ``tick``),
            ``stripe_event``, or what an unreadable body calls itself.
        customers: whose it is; empty where that cannot be told, several for several records.
        messages: what a worker would read from it; none for an event that asks for nothing.
        problem: why no worker can read it; None for one that can be read.
    """

    kind: str
    customers: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    problem: str | None = None

    @property
    def customer(self) -> str | None:
        """Its one customer; ``several`` for several; None where there is none."""
        if len(self.customers) > 1:
            return "several"
        return self.customers[0] if self.customers else None


def read_subject(body: str, prefixes: Prefixes) -> Subject:
    """Read a body as the worker's dispatch would; never raises."""
    try:
        content = parse_object(body)
    except UnreadableMessage as error:
        return Subject(kind=UNREADABLE, problem=str(error))
    try:
        reading = read_body(body)
    except UnreadableMessage as error:
        return Subject(
            kind=_name(content.get("kind")) or UNREADABLE,
            customers=tuple(filter(None, [_name(content.get("customerId"))])),
            problem=str(error),
        )
    customers = dict.fromkeys(
        filter(None, (_customer(each, prefixes) for each in reading.messages))
    )
    return Subject(
        kind=reading.kind,
        customers=tuple(customers),
        messages=reading.messages,
        problem=reading.problem,
    )


def _customer(message: Message, prefixes: Prefixes) -> str | None:
    match message:
        case SizeCustomer() | BillCustomerMonth():
            return message.customer_id
        case FileProcessed():
            output = prefixes.output(message.key)
            return None if output is None else output.customer_id
        case _:
            return None


def _name(value: object) -> str | None:
    return value[:_LONGEST_NAME] if isinstance(value, str) and value.isprintable() else None
