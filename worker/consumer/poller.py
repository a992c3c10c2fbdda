"""One queue's poller: receives no more than can be started, and hands it to its threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from producers.queues import Queue
from worker.consumer.received import ReceivedMessage
from worker.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient

    from producers.queues import QueueDirectory
    from worker.circuit import Gate
    from worker.clock import Clock
    from worker.consumer.dispatch import Dispatch
    from worker.consumer.leases import Leases
    from worker.consumer.settling import Settling
    from worker.outcome import Outcome

_log = structlog.get_logger()
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
MOST_A_RECEIPT = 10
_LOOK_AT_GATE_SECONDS = 0.5
_PAUSE_AFTER_ERROR_SECONDS = 2.0
_LONGEST_PAUSE_AFTER_ERROR_SECONDS = 30.0


class Poller:
    """Polls one queue until told to stop.

    Args:
        queue: which.
        sqs: the client.
        queues: where the queues are.
        dispatch: handles a message.
        settling: settles it with SQS.
        leases: keeps it while it is handled.
        gate: says whether anything may be received.
        clock: the time.
        concurrency: messages handled at once.
        visibility_seconds: a lease's length.
        wait_seconds: how long one poll waits for a message.
        stopping: set when no more is to be received.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        sqs: SQSClient,
        queues: QueueDirectory,
        dispatch: Dispatch,
        settling: Settling,
        leases: Leases,
        gate: Gate,
        clock: Clock,
        concurrency: int,
        visibility_seconds: int,
        wait_seconds: int,
        stopping: threading.Event,
    ) -> None:
        self._queue = queue
        self._sqs = sqs
        self._queues = queues
        self._dispatch = dispatch
        self._settling = settling
        self._leases = leases
        self._gate = gate
        self._clock = clock
        # Ticks run one at a time: a monthly one asks whether the daily one's work is done.
        self._concurrency = 1 if queue is Queue.SCHEDULE else concurrency
        self._visibility = visibility_seconds
        self._wait = wait_seconds
        self._stopping = stopping
        self._slots = threading.Semaphore(self._concurrency)
        self._busy = 0
        self._count = threading.Lock()

    @property
    def busy(self) -> int:
        """Messages received and not settled."""
        with self._count:
            return self._busy

    def run(self) -> None:
        """Poll until told to stop, then wait for what was begun."""
        failures = 0
        with ThreadPoolExecutor(
            self._concurrency, thread_name_prefix=f"handle-{self._queue}"
        ) as pool:
            while not self._stopping.is_set():
                if not self._gate.lets_through(self._queue):
                    self._stopping.wait(_LOOK_AT_GATE_SECONDS)
                    continue
                taken = self._take_slots()
                try:
                    messages = self._receive(taken)
                    failures = 0
                except (BotoCoreError, ClientError) as error:
                    self._slots.release(taken)
                    failures += 1
                    self._pause(error, failures)
                    continue
                if taken > len(messages):
                    self._slots.release(taken - len(messages))
                for message in messages:
                    pool.submit(self._handle, message)

    def _take_slots(self) -> int:
        """Wait for one free thread and take up to ten; 0 once stopping."""
        while not self._slots.acquire(timeout=0.5):
            if self._stopping.is_set():
                return 0
        taken = 1
        while taken < MOST_A_RECEIPT and self._slots.acquire(blocking=False):
            taken += 1
        return taken

    def _receive(self, most: int) -> Sequence[ReceivedMessage]:
        if most == 0:
            return ()
        asked_at = self._clock.monotonic()
        answer = self._sqs.receive_message(
            QueueUrl=self._queues.url(self._queue),
            MaxNumberOfMessages=most,
            WaitTimeSeconds=self._wait,
            VisibilityTimeout=self._visibility,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=[
                "ApproximateReceiveCount",
                "ApproximateFirstReceiveTimestamp",
                "SentTimestamp",
            ],
        )
        # The lease began when SQS answered, not when a long poll was asked; a second for the way.
        received_at = max(asked_at, self._clock.monotonic() - 1)
        now = self._clock.now()
        messages = [
            ReceivedMessage.read(self._queue, message, now)
            for message in answer.get("Messages", ())
        ]
        for message in messages:
            self._leases.hold(message, received_at)
        with self._count:
            self._busy += len(messages)
        return messages

    def _handle(self, message: ReceivedMessage) -> None:
        started = self._clock.monotonic()
        outcome: Outcome | None = None
        try:
            if self._stopping.is_set():
                self._leases.release(message)
                self._settling.give_back(message, 0)
                return
            outcome = self._dispatch.handle(message)
            self._leases.release(message)
            self._settling.settle(message, outcome)
        except (BotoCoreError, ClientError) as error:
            _log.warning(
                "a message could not be given back",
                action="give_back_failed",
                message_id=message.message_id,
                error=str(error),
            )
        finally:
            self._leases.release(message)
            with self._count:
                self._busy -= 1
            self._slots.release()
            self._report(message, outcome, self._clock.monotonic() - started)

    def _report(self, message: ReceivedMessage, outcome: Outcome | None, seconds: float) -> None:
        if outcome is None:
            _log.info(
                "given back",
                action="message_given_back",
                message_id=message.message_id,
                queue=self._queue,
            )
            return
        log = _log.info if isinstance(outcome, Done) else _log.warning
        log(
            outcome.note if isinstance(outcome, Done) else outcome.reason,
            action=f"message_{type(outcome).__name__.lower()}",
            queue=self._queue,
            message_id=message.message_id,
            receive_count=message.receive_count,
            duration_ms=round(seconds * 1000),
        )

    def _pause(self, error: BotoCoreError | ClientError, failures: int) -> None:
        seconds = min(
            _PAUSE_AFTER_ERROR_SECONDS * 2 ** min(failures - 1, 10),
            _LONGEST_PAUSE_AFTER_ERROR_SECONDS,
        )
        _log.warning(
            "receiving failed, trying again",
            action="receive_failed",
            queue=self._queue,
            error=str(error),
            pause_seconds=seconds,
        )
        self._stopping.wait(seconds)
