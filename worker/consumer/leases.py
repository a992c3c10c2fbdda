"""Leases: what this worker holds stays invisible to others while work runs.

A lease ends in one of three ways: the handler is done, SQS says that the receipt is no longer good,
or the time ran out without a renewal. In the last two the handler is told at its next step
(:mod:`worker.lease`) and nothing is settled: the message is another worker's.

No lock is held during a call. A message that is given back while its renewal is under way is given
back right after that renewal, by the thread that renews, so that a heartbeat never overwrites a
back-off and nobody waits for it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock
    from worker.consumer.received import ReceivedMessage

_log = structlog.get_logger()
_BATCH = 10
# From the receipt on, whatever is asked for in between
# (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html).
LONGEST_HOLD_SECONDS = 43_200
# Short of SQS's limit by more than the longest pause of a message that is given back.
_CEILING_SECONDS = LONGEST_HOLD_SECONDS - 1200
_RECALLED = "the worker stops"
_OUT_OF_TIME = "its lease ran out without a renewal"
_AT_THE_CEILING = "it was held for as long as SQS allows, twelve hours"


class HeldLease:
    """The lease of one receipt of one message. Times are monotonic seconds.

    Args:
        message: what is held.
        received_at: when it was received.
        visibility: how long a renewal lasts.
        clock: the time.
    """

    def __init__(
        self, message: ReceivedMessage, received_at: float, visibility: int, clock: Clock
    ) -> None:
        self.queue = message.queue
        self.handle = message.receipt_handle
        self.message_id = message.message_id
        self.received_at = received_at
        self._clock = clock
        self.renewed(received_at, visibility)
        self._lost: str | None = None
        self.recalled = False
        self.renewing = False
        self.then: Callable[[], None] | None = None

    @property
    def lost(self) -> str | None:
        """Why the message is no longer this worker's to handle; None while it is."""
        if self._lost is None and self._clock.monotonic() >= self._ends_at:
            self._lost = _OUT_OF_TIME
        if self._lost is None and self.recalled:
            return _RECALLED
        return self._lost

    @property
    def held(self) -> bool:
        """Whether SQS still keeps the message for this worker, if only to be given back."""
        return self.lost in {None, _RECALLED}

    def still_allowed(self, now: float) -> int:
        """Whole seconds for which SQS lets it be held from then on."""
        return int(self.received_at + _CEILING_SECONDS - now)

    def renewed(self, at: float, seconds: int) -> None:
        """It is held for so many seconds from then on."""
        self.renewed_at = at
        self.due_at = at + seconds / 2
        self._ends_at = at + seconds

    def lose(self, reason: str) -> None:
        """The message is no longer this worker's."""
        if self._lost is None:
            self._lost = reason


@dataclass(frozen=True, slots=True)
class Renewal:
    """Leases of one queue to extend in one call."""

    queue: Queue
    leases: Sequence[HeldLease]


class Leases:
    """Extends the visibility of everything held, at half its time.

    Args:
        sqs: the client; one with short timeouts and without retries, for :meth:`due` asks again.
        queues: where the queues are.
        clock: the time.
        visibility_seconds: how long a lease lasts.
    """

    def __init__(
        self, sqs: SQSClient, queues: QueueDirectory, clock: Clock, visibility_seconds: int
    ) -> None:
        self._sqs = sqs
        self._queues = queues
        self._clock = clock
        self._visibility = visibility_seconds
        self._held: set[HeldLease] = set()
        self._lock = threading.Lock()

    @property
    def pause(self) -> float:
        """Seconds between two calls of :meth:`due` that miss no lease."""
        return self._visibility / 8

    @property
    def oldest_renewal(self) -> float:
        """Seconds since the renewal of the lease that was renewed longest ago; 0 without any."""
        now = self._clock.monotonic()
        with self._lock:
            return max((now - held.renewed_at for held in self._held), default=0.0)

    @property
    def longest_in_hand(self) -> float:
        """Seconds since the receipt of the message that is in hand longest; 0 without any."""
        now = self._clock.monotonic()
        with self._lock:
            return max((now - held.received_at for held in self._held), default=0.0)

    def hold(self, message: ReceivedMessage, received_at: float) -> HeldLease:
        """Begin to renew a message that was received at that monotonic time."""
        lease = HeldLease(message, received_at, self._visibility, self._clock)
        with self._lock:
            self._held.add(lease)
        return lease

    def end(self, lease: HeldLease, then: Callable[[], None]) -> None:
        """Stop renewing, then settle: at once, or after the renewal that is under way."""
        with self._lock:
            self._held.discard(lease)
            if lease.renewing:
                lease.then = then
                return
        then()

    def recall(self) -> None:
        """Tell every handler to stop at its next step; its message is then given back at once."""
        with self._lock:
            for lease in self._held:
                lease.recalled = True

    def due(self) -> list[Renewal]:
        """What is to be renewed now, by batches of ten; each is then under way."""
        now = self._clock.monotonic()
        due: dict[Queue, list[HeldLease]] = {}
        with self._lock:
            for lease in list(self._held):
                if lease.still_allowed(now) < 1:
                    lease.lose(_AT_THE_CEILING)
                if not lease.held:
                    self._held.discard(lease)
                    _report(lease)
                elif lease.due_at <= now and not lease.renewing:
                    lease.renewing = True
                    due.setdefault(lease.queue, []).append(lease)
        return [
            Renewal(queue, leases[start : start + _BATCH])
            for queue, leases in due.items()
            for start in range(0, len(leases), _BATCH)
        ]

    def renew(self, renewal: Renewal) -> None:
        """Extend a batch; one that fails is due again at once, well before its leases end."""
        asked_at = self._clock.monotonic()
        seconds = [
            max(1, min(self._visibility, lease.still_allowed(asked_at))) for lease in renewal.leases
        ]
        try:
            refused = self._extend(renewal, seconds)
        except (BotoCoreError, ClientError) as error:
            _log.warning(
                "leases not renewed, trying again",
                action="lease_renewal_failed",
                queue=renewal.queue,
                messages=len(renewal.leases),
                error=type(error).__name__,
            )
        else:
            for index, (lease, held_for) in enumerate(zip(renewal.leases, seconds, strict=True)):
                code = refused.get(str(index))
                if code is None:
                    lease.renewed(asked_at, held_for)
                elif code:
                    lease.lose(f"SQS no longer takes its receipt: {code}")
        self._finish(renewal)

    def renew_due(self) -> None:
        """Extend everything that is due, one batch after the other."""
        for renewal in self.due():
            self.renew(renewal)

    def _extend(self, renewal: Renewal, seconds: Sequence[int]) -> dict[str, str]:
        """The entries that were not extended: with a code those that never will be."""
        answer = self._sqs.change_message_visibility_batch(
            QueueUrl=self._queues.url(renewal.queue),
            Entries=[
                {
                    "Id": str(index),
                    "ReceiptHandle": lease.handle,
                    "VisibilityTimeout": seconds[index],
                }
                for index, lease in enumerate(renewal.leases)
            ],
        )
        return {
            entry["Id"]: entry["Code"] if entry["SenderFault"] else ""
            for entry in answer.get("Failed", ())
        }

    def _finish(self, renewal: Renewal) -> None:
        with self._lock:
            waiting = [lease.then for lease in renewal.leases if lease.then is not None]
            for lease in renewal.leases:
                lease.renewing = False
                lease.then = None
        for settle in waiting:
            settle()


def _report(lease: HeldLease) -> None:
    _log.warning(
        "a lease was lost",
        action="lease_lost",
        queue=lease.queue,
        message_id=lease.message_id,
        reason=lease.lost,
    )
