"""The consumer: a poller per queue, the leases, the deletions, and an end to them all."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from worker.aws import LONG_POLL_SECONDS
from worker.consumer.backlog import Backlog
from worker.consumer.deletions import Deletions
from worker.consumer.leases import Leases
from worker.consumer.poller import Poller
from worker.consumer.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.circuit import Gate
    from worker.clock import Clock
    from worker.consumer.backoff import Backoff
    from worker.consumer.dispatch import Dispatch

_log = structlog.get_logger()
_TEND_SECONDS = 1.0
_DRAIN_POLL_SECONDS = 1
_DRAIN_CHECK_SECONDS = 0.5
# SQS's counts lag by moments; an empty queue has to look empty this often in a row.
_EMPTY_LOOKS = 3


class SideThreadDied(RuntimeError):  # noqa: N818 - says what happened
    """A thread that the worker cannot do without ended by itself."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the consumer works.

    Args:
        concurrency: messages handled at once, per queue.
        visibility_seconds: a lease's length.
        drain_seconds: how long the end may take once it is asked for.
        until_empty: whether to end when nothing is left visible, in flight or delayed.
    """

    concurrency: int
    visibility_seconds: int
    drain_seconds: int
    until_empty: bool = False


class Consumer:
    """Consumes queues until told to stop, or until they are empty.

    Args:
        sqs: the client.
        queues: where the queues are.
        consumed: which to consume.
        dispatch: handles messages.
        gate: says whether anything may be received.
        backoff: how long a retry waits.
        clock: the time.
        pace: how it works.
    """

    def __init__(
        self,
        *,
        sqs: SQSClient,
        queues: QueueDirectory,
        consumed: Sequence[Queue],
        dispatch: Dispatch,
        gate: Gate,
        backoff: Backoff,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._pace = pace
        self._gate = gate
        self._clock = clock
        self._leases = Leases(sqs, queues, clock, pace.visibility_seconds)
        self._deletions = Deletions(sqs, queues, clock)
        self._backlog = Backlog(sqs, queues)
        self._consumed = tuple(consumed)
        settling = Settling(
            sqs=sqs, queues=queues, deletions=self._deletions, backoff=backoff, clock=clock
        )
        self._pollers = [
            Poller(
                queue=queue,
                sqs=sqs,
                queues=queues,
                dispatch=dispatch,
                settling=settling,
                leases=self._leases,
                gate=gate,
                clock=clock,
                concurrency=pace.concurrency,
                visibility_seconds=pace.visibility_seconds,
                wait_seconds=_poll_seconds(pace),
                stopping=self._stopping,
            )
            for queue in consumed
        ]

    def stop(self) -> None:
        """Stop receiving, give back what has not begun, finish what has.

        Safe to call from any thread, but not from a signal handler: it takes a lock.
        """
        self._stopping.set()

    def run(self) -> bool:
        """Consume; returns False where the end took longer than it may.

        Raises:
            SideThreadDied: a poller or the renewal of leases ended by itself.
        """
        threads = [
            threading.Thread(target=poller.run, name=f"poll-{queue}", daemon=True)
            for queue, poller in zip(self._consumed, self._pollers, strict=True)
        ]
        side = [
            threading.Thread(target=self._renew_leases, name="leases", daemon=True),
            threading.Thread(target=self._tend_gate, name="gate", daemon=True),
        ]
        for thread in (*side, *threads):
            thread.start()
        side.append(self._deletions.start())
        _log.info(
            "consuming", action="consumer_started", queues=[str(queue) for queue in self._consumed]
        )
        try:
            self._watch([*side, *threads])
            return self._finish(threads)
        finally:
            self._stopping.set()
            self._ended.set()

    def _watch(self, threads: Sequence[threading.Thread]) -> None:
        empty_looks = 0
        while not self._stopping.wait(_DRAIN_CHECK_SECONDS):
            dead = [thread.name for thread in threads if not thread.is_alive()]
            if dead:
                raise SideThreadDied(f"thread {dead[0]} ended by itself; the worker stops")
            if self._pace.until_empty:
                empty_looks = empty_looks + 1 if self._is_empty() else 0
                if empty_looks >= _EMPTY_LOOKS:
                    self._stopping.set()

    def _is_empty(self) -> bool:
        if self._deletions.undone or any(poller.busy for poller in self._pollers):
            return False
        try:
            return all(self._backlog.of(queue).total == 0 for queue in self._consumed)
        except (BotoCoreError, ClientError) as error:
            _log.warning("cannot count messages", action="count_failed", error=str(error))
            return False

    def _finish(self, threads: Sequence[threading.Thread]) -> bool:
        """Wait for what was begun, then for the deletions, no longer than allowed."""
        deadline = self._clock.monotonic() + self._pace.drain_seconds
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        unfinished = [thread.name for thread in threads if thread.is_alive()]
        closing = threading.Thread(target=self._deletions.close, daemon=True)
        closing.start()
        closing.join(max(1.0, deadline - self._clock.monotonic()))
        if unfinished or closing.is_alive():
            _log.warning(
                "stopped before all was finished; it will come again",
                action="drain_incomplete",
                threads=unfinished,
            )
            return False
        _log.info("stopped, all finished", action="consumer_stopped")
        return True

    def _tend_gate(self) -> None:
        while not self._ended.wait(_TEND_SECONDS):
            self._gate.tend()

    def _renew_leases(self) -> None:
        while not self._ended.wait(self._leases.pause):
            self._leases.renew_due()


def _poll_seconds(pace: Pace) -> int:
    """How long one poll waits: a poll under way is the least that a stop has to wait for."""
    if pace.until_empty:
        return _DRAIN_POLL_SECONDS
    return min(LONG_POLL_SECONDS, max(1, pace.drain_seconds // 2))
