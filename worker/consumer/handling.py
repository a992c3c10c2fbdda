"""Handling: the life of one received message, from its lease to its outcome."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from worker.company import NoCompany
from worker.lease import LeaseLost, held_by
from worker.outcome import DeadLetter, Done

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.clock import Clock
    from worker.company import Company
    from worker.consumer.dispatch import Dispatch
    from worker.consumer.leases import HeldLease, Leases
    from worker.consumer.received import ReceivedMessage
    from worker.consumer.settling import Settling
    from worker.outcome import Outcome

_log = structlog.get_logger()


class Handling:
    """Handles one message and settles it, unless its lease was lost.

    Args:
        dispatch: knows the handlers.
        settling: settles with SQS.
        leases: keeps the message meanwhile.
        clock: the time.
        company: lets messages of one queue that are in hand at once be handled together.
    """

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        settling: Settling,
        leases: Leases,
        clock: Clock,
        company: Company | None = None,
    ) -> None:
        self._company = company or NoCompany()
        self._dispatch = dispatch
        self._settling = settling
        self._leases = leases
        self._clock = clock
        self._in_hand = 0
        self._count = threading.Lock()

    @property
    def in_hand(self) -> int:
        """Messages received and not settled."""
        with self._count:
            return self._in_hand

    def begin(self, message: ReceivedMessage, received_at: float) -> HeldLease:
        """Take a message in hand that was received at that monotonic time."""
        with self._count:
            self._in_hand += 1
        lease = self._leases.hold(message, received_at)
        self._company.expect(message.queue)
        return lease

    def handle(self, message: ReceivedMessage, lease: HeldLease) -> None:
        """Handle a message and settle it. Never raises for what the message or SQS did."""
        with structlog.contextvars.bound_contextvars(
            queue=str(message.queue),
            message_id=message.message_id,
            receive_count=message.receive_count,
            **dict.fromkeys(("kind", "customer", "attempt")),
        ):
            started = self._clock.monotonic()
            try:
                with self._company.member(message.queue), held_by(lease):
                    outcome = self._dispatch.handle(message)
            except LeaseLost as error:
                self._abandon(message, lease, str(error), started)
                return
            # One that was done before it learned that it should stop is as good as any.
            if not lease.held:
                self._abandon(message, lease, str(lease.lost), started)
                return
            _report(outcome, self._milliseconds(started))
        self._end(lease, lambda: self._settling.settle(message, outcome))

    def give_back(self, message: ReceivedMessage, lease: HeldLease) -> None:
        """Make a message visible at once that was not begun."""
        self._company.excuse(message.queue)
        self._give_back(message, lease)

    def _give_back(self, message: ReceivedMessage, lease: HeldLease) -> None:
        def settle() -> None:
            try:
                self._settling.give_back(message, 0)
            except (BotoCoreError, ClientError) as error:
                _log.warning(
                    "a message could not be given back, it will come again",
                    action="give_back_failed",
                    message_id=message.message_id,
                    error=str(error),
                )
                return
            _log.info(
                "given back",
                action="message_given_back",
                message_id=message.message_id,
                queue=message.queue,
            )

        self._end(lease, settle)

    def _abandon(
        self, message: ReceivedMessage, lease: HeldLease, reason: str, started: float
    ) -> None:
        """Settle nothing: the message is another's, now or as soon as it is given back."""
        _log.warning(
            f"left to another delivery: {reason}",
            action="message_lease_lost",
            duration_ms=self._milliseconds(started),
        )
        if lease.held:
            self._give_back(message, lease)
        else:
            self._end(lease, lambda: None)

    def _end(self, lease: HeldLease, settle: Callable[[], None]) -> None:
        def then() -> None:
            try:
                settle()
            finally:
                with self._count:
                    self._in_hand -= 1

        self._leases.end(lease, then)

    def _milliseconds(self, started: float) -> int:
        return round((self._clock.monotonic() - started) * 1000)


def _report(outcome: Outcome, milliseconds: int) -> None:
    """One line per outcome; who and what stands in the context that the dispatch filled."""
    log = _log.info if isinstance(outcome, Done) else _log.warning
    more = {"error_type": outcome.error_type} if isinstance(outcome, DeadLetter) else {}
    log(
        outcome.note if isinstance(outcome, Done) else outcome.reason,
        action=f"message_{type(outcome).__name__.lower()}",
        duration_ms=milliseconds,
        **more,
    )
