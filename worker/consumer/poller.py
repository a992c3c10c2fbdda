"""One queue's poller: receives no more than can be started, and hands it to its threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from producers.queues import Queue
from worker.consumer.hands import Hands
from worker.consumer.receiving import MOST_A_RECEIPT

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from worker.circuit import Gate
    from worker.clock import Clock
    from worker.consumer.handling import Handling
    from worker.consumer.leases import HeldLease
    from worker.consumer.received import ReceivedMessage
    from worker.consumer.receiving import Receiving

_log = structlog.get_logger()
_LOOK_SECONDS = 0.5
# As many as write in one batch (worker.tables.together).
_MOST_TOGETHER = 25
_PAUSE_AFTER_ERROR_SECONDS = 2.0
_LONGEST_PAUSE_AFTER_ERROR_SECONDS = 30.0


class Poller:
    """Polls one queue until told to stop.

    Args:
        receiving: receives from it.
        handling: handles what was received.
        gate: says whether anything may be received.
        clock: the time.
        concurrency: messages handled at once.
        stopping: set when no more is to be received.
    """

    def __init__(
        self,
        *,
        receiving: Receiving,
        handling: Handling,
        gate: Gate,
        clock: Clock,
        concurrency: int,
        stopping: threading.Event,
    ) -> None:
        self._receiving = receiving
        self._handling = handling
        self._gate = gate
        self._clock = clock
        self._stopping = stopping
        self._queue = receiving.queue
        self._failures = 0
        self._refused_since = 0.0
        self._turned_at = clock.monotonic()
        # Ticks run one at a time: a monthly one asks whether the daily one's work is done.
        self._hands: Hands[tuple[ReceivedMessage, HeldLease]] = Hands(
            1 if self._queue is Queue.SCHEDULE else concurrency,
            f"handle-{self._queue}",
            self._work,
        )

    @property
    def threads(self) -> Sequence[threading.Thread]:
        """The threads that handle."""
        return self._hands.threads

    @property
    def age(self) -> float:
        """Seconds since the loop last turned."""
        return self._clock.monotonic() - self._turned_at

    @property
    def refused_for(self) -> float:
        """Seconds since receiving began to fail, if it has failed ever since; else 0."""
        return self._clock.monotonic() - self._refused_since if self._failures else 0.0

    def run(self) -> None:
        """Poll until told to stop, then let the hands finish what they began."""
        self._hands.start()
        while not self._stopping.is_set():
            self._turned_at = self._clock.monotonic()
            self._turn()
        self._hands.finish()
        for thread in self._hands.threads:
            while thread.is_alive():
                self._turned_at = self._clock.monotonic()
                thread.join(_LOOK_SECONDS)

    def _turn(self) -> None:
        if not self._gate.lets_through(self._queue):
            # While nothing is asked, nothing is refused.
            self._failures = 0
            self._stopping.wait(_LOOK_SECONDS)
            return
        reserved = self._hands.reserve(_MOST_TOGETHER, _LOOK_SECONDS)
        # The gate may have closed, or the end been asked for, while no hand was free.
        if not reserved or self._stopping.is_set() or not self._gate.lets_through(self._queue):
            self._hands.release(reserved)
            return
        # All are in hand before the first is begun, so that they are handled together.
        tasks = self._receive(reserved)
        self._hands.release(reserved - len(tasks))
        for task in tasks:
            self._hands.give(task)

    def _receive(self, most: int) -> list[tuple[ReceivedMessage, HeldLease]]:
        """Take up to so many messages in hand: after the first ten only what is there already."""
        tasks: list[tuple[ReceivedMessage, HeldLease]] = []
        while len(tasks) < most and not self._stopping.is_set():
            asked_for = min(most - len(tasks), MOST_A_RECEIPT)
            try:
                messages, received_at = self._receiving.receive(asked_for, waits=not tasks)
            except (BotoCoreError, ClientError) as error:
                # What was received before is not held up; the next turn meets the error again.
                if not tasks:
                    self._pause(error)
                break
            self._failures = 0
            tasks += [(message, self._handling.begin(message, received_at)) for message in messages]
            if len(messages) < asked_for:
                break
        return tasks

    def _work(self, task: tuple[ReceivedMessage, HeldLease]) -> None:
        message, lease = task
        if self._stopping.is_set():
            self._handling.give_back(message, lease)
        else:
            self._handling.handle(message, lease)

    def _pause(self, error: BotoCoreError | ClientError) -> None:
        if not self._failures:
            self._refused_since = self._clock.monotonic()
        self._failures += 1
        seconds = min(
            _PAUSE_AFTER_ERROR_SECONDS * 2 ** min(self._failures - 1, 10),
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
