"""The dispatch: from a body to its handler, and from what it raises to an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from producers.messages import (
    BillCustomerMonth,
    FileProcessed,
    Message,
    SettleFact,
    SizeCustomer,
    StripeEvent,
    Tick,
    UnreadableMessage,
)
from producers.outbox import EnqueueFailed
from producers.reading import read_body
from worker.availability import is_outage
from worker.consumer.backoff import MOST_RECEIPTS, MOST_RECEIPTS_OF_A_DEFECT
from worker.errors import Permanent, Temporary
from worker.lease import LeaseLost
from worker.outcome import DeadLetter, Done, Outcome, Retry
from worker.redaction import redacted
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.circuit import Circuit, Gate
    from worker.clock import Clock
    from worker.consumer.received import ReceivedMessage

_log = structlog.get_logger()
# What only this message meets, while its circuit is closed, is a fault of its own in the end.
_LONGEST_OUTAGE = timedelta(days=1)


class SizesCustomers(Protocol):
    """Takes ``size_customer``."""

    def handle(self, message: SizeCustomer) -> Outcome:
        """Handle one."""
        ...


class BillsMonths(Protocol):
    """Takes ``bill_customer_month``."""

    def handle(self, message: BillCustomerMonth) -> Outcome:
        """Handle one."""
        ...


class BillsFiles(Protocol):
    """Takes ``file_processed``."""

    def handle(self, message: FileProcessed, received: ReceivedMessage) -> Outcome:
        """Handle one; ``received`` tells how long it has waited."""
        ...

    def spread(self, messages: Sequence[FileProcessed]) -> Outcome:
        """Give each of several records a message of its own."""
        ...


class NotesRefusals(Protocol):
    """Takes ``stripe_event``."""

    def handle(self, message: StripeEvent) -> Outcome:
        """Handle one."""
        ...


class SettlesFacts(Protocol):
    """Takes ``settle_fact``."""

    def handle(self, message: SettleFact) -> Outcome:
        """Handle one."""
        ...


class RunsTicks(Protocol):
    """Takes ``tick``."""

    def handle(self, message: Tick, received: ReceivedMessage) -> Outcome:
        """Handle one; ``received`` tells how long it has waited."""
        ...


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handler of each kind."""

    size_customer: SizesCustomers
    bill_month: BillsMonths
    file_processed: BillsFiles
    tick: RunsTicks
    stripe_event: NotesRefusals
    settle_fact: SettlesFacts


class Dispatch:
    """Gives each message to its handler and turns whatever happens into an outcome.

    Args:
        handlers: one per kind.
        circuit: Stripe's; is opened where Stripe cannot be asked.
        gate: says what is not received from now.
        clock: the time.
    """

    def __init__(self, handlers: Handlers, circuit: Circuit, gate: Gate, clock: Clock) -> None:
        self._handlers = handlers
        self._circuit = circuit
        self._gate = gate
        self._clock = clock

    def handle(self, received: ReceivedMessage) -> Outcome:
        """Handle one message.

        Raises:
            LeaseLost: the message is another worker's by now; nothing is to be settled. Nothing
                else is raised but what ends the process.
        """
        most = MOST_RECEIPTS
        try:
            outcome = self._handle(received)
        except LeaseLost:
            raise
        except UnreadableMessage as error:
            return DeadLetter(str(error), "UnreadableMessage")
        except (StripeUnavailable, KeyUnavailable) as error:
            # An outage costs no attempts: what needs Stripe is not received until it is back.
            self._circuit.trip(str(error))
            return Retry(_said(error), limited=False)
        except Permanent as error:
            return DeadLetter(str(error), type(error).__name__)
        except (Temporary, EnqueueFailed, ClientError, BotoCoreError) as error:
            outcome = Retry(_said(error), limited=not self._is_down(error, received))
        except Exception as error:  # noqa: BLE001 - a defect must cost one message, not the worker
            _log.exception(
                "a handler failed", action="handler_failed", message_id=received.message_id
            )
            outcome = Retry(_said(error))
            most = MOST_RECEIPTS_OF_A_DEFECT
        return _limit(outcome, received.receive_count, most)

    def _handle(self, received: ReceivedMessage) -> Outcome:
        reading = read_body(received.body)
        if not reading.messages:
            return Done("an event that asks for nothing")
        if len(reading.messages) == 1 and reading.problem is None:
            return self._by_kind(reading.messages[0], received)
        spread = self._handlers.file_processed.spread(
            [message for message in reading.messages if isinstance(message, FileProcessed)]
        )
        if reading.problem is not None and isinstance(spread, Done):
            return DeadLetter(f"{reading.problem} ({spread.note})", "UnreadableMessage")
        return spread

    def _is_down(self, error: Exception, received: ReceivedMessage) -> bool:
        """Whether something is down, so that the attempt does not count.

        A circuit may stay closed meanwhile: what is read closes it where only writes fail.
        """
        if not self._gate.lets_through(received.queue):
            return True
        waited = self._clock.now() - received.first_received_at
        return is_outage(error) and waited < _LONGEST_OUTAGE

    def _by_kind(self, message: Message, received: ReceivedMessage) -> Outcome:
        structlog.contextvars.bind_contextvars(kind=message.kind)
        if isinstance(message, (SizeCustomer, BillCustomerMonth)):
            structlog.contextvars.bind_contextvars(customer=message.customer_id)
        match message:
            case SizeCustomer():
                return self._handlers.size_customer.handle(message)
            case BillCustomerMonth():
                return self._handlers.bill_month.handle(message)
            case FileProcessed():
                return self._handlers.file_processed.handle(message, received)
            case Tick():
                return self._handlers.tick.handle(message, received)
            case StripeEvent():
                return self._handlers.stripe_event.handle(message)
            case SettleFact():
                return self._handlers.settle_fact.handle(message)


def _said(error: Exception) -> str:
    """What an error says, fit for a log and a dead letter."""
    return redacted(f"{type(error).__name__}: {error}")


def _limit(outcome: Outcome, receive_count: int, most: int) -> Outcome:
    """Give up on a message that failed too often, while its reason is still known."""
    if isinstance(outcome, Retry) and outcome.limited and receive_count >= most:
        return DeadLetter(f"gave up after {receive_count} receipts: {outcome.reason}", "GaveUp")
    return outcome
