"""The consumer: a poller per queue, the leases, the deletions, and an end to them all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from worker.aws import LONG_POLL_SECONDS
from worker.consumer.backlog import Backlog
from worker.consumer.deletions import Deletions
from worker.consumer.handling import Handling
from worker.consumer.leases import Leases
from worker.consumer.poller import Poller
from worker.consumer.receiving import Receiving
from worker.consumer.settling import Settling
from worker.consumer.side_job import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.circuit import Gate
    from worker.clock import Clock
    from worker.company import Company
    from worker.consumer.backoff import Backoff
    from worker.consumer.dispatch import Dispatch
    from worker.consumer.side_job import SideJob

_log = structlog.get_logger()
_TEND_SECONDS = 1.0
_DRAIN_POLL_SECONDS = 1
_DRAIN_CHECK_SECONDS = 0.5
# SQS's counts lag by moments; an empty queue has to look empty this often in a row.
_EMPTY_LOOKS = 3
_RENEWALS_AT_ONCE = 4
# The part of the drain in which handlers may finish by themselves.
_UNDISTURBED = 0.7
# The part at its end in which leases end and what is done is deleted.
_SETTLING = 0.1


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
        renewing_sqs: the client that renews leases: short timeouts, no retries.
        queues: where the queues are.
        consumed: which to consume.
        dispatch: handles messages.
        company: lets messages of one queue be handled together.
        gate: says whether anything may be received.
        backoff: how long a retry waits.
        clock: the time.
        pace: how it works.
        side_jobs: are done now and then.
        watches: are entered while it runs.
    """

    def __init__(
        self,
        *,
        sqs: SQSClient,
        queues: QueueDirectory,
        consumed: Sequence[Queue],
        dispatch: Dispatch,
        company: Company | None = None,
        gate: Gate,
        backoff: Backoff,
        clock: Clock,
        pace: Pace,
        renewing_sqs: SQSClient | None = None,
        side_jobs: Sequence[SideJob] = (),
        watches: Sequence[AbstractContextManager[object]] = (),
    ) -> None:
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._pace = pace
        self._gate = gate
        self._clock = clock
        self._side_jobs = side_jobs
        self._watches = watches
        self._leases = Leases(renewing_sqs or sqs, queues, clock, pace.visibility_seconds)
        self._deletions = Deletions(sqs, queues, clock)
        self._backlog = Backlog(sqs, queues)
        self._consumed = tuple(consumed)
        self._handling = Handling(
            dispatch=dispatch,
            company=company,
            settling=Settling(
                sqs=sqs, queues=queues, deletions=self._deletions, backoff=backoff, clock=clock
            ),
            leases=self._leases,
            clock=clock,
        )
        self._pollers = [
            Poller(
                receiving=Receiving(
                    queue=queue,
                    sqs=sqs,
                    queues=queues,
                    clock=clock,
                    visibility_seconds=pace.visibility_seconds,
                    wait_seconds=_poll_seconds(pace),
                ),
                handling=self._handling,
                gate=gate,
                clock=clock,
                concurrency=pace.concurrency,
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
            SideThreadDied: a thread that the worker cannot do without ended by itself.
        """
        polls = [
            _thread(f"poll-{queue}", poller.run)
            for queue, poller in zip(self._consumed, self._pollers, strict=True)
        ]
        leases = _thread("leases", self._renew_leases)
        deletions = _thread("deletions", self._deletions.run)
        side = [leases, deletions, _thread("gate", self._tend_gate)]
        side += [_thread(job.name, partial(self._repeat, job)) for job in self._side_jobs]
        with ExitStack() as entered:
            for watch in self._watches:
                entered.enter_context(watch)
            for thread in (*side, *polls):
                thread.start()
            _log.info(
                "consuming",
                action="consumer_started",
                queues=[str(queue) for queue in self._consumed],
            )
            try:
                self._watch([*side, *polls])
                return self._finish(polls, leases, deletions)
            finally:
                self._stopping.set()
                self._ended.set()

    def _watch(self, threads: Sequence[threading.Thread]) -> None:
        empty_looks = 0
        while not self._stopping.wait(_DRAIN_CHECK_SECONDS):
            hands = (thread for poller in self._pollers for thread in poller.threads)
            # A hand begins with its poller's loop, a moment after it.
            dead = [each.name for each in (*threads, *hands) if each.ident and not each.is_alive()]
            if dead and not self._stopping.is_set():
                raise SideThreadDied(f"thread {dead[0]} ended by itself; the worker stops")
            if self._pace.until_empty:
                empty_looks = empty_looks + 1 if self._is_empty() else 0
                if empty_looks >= _EMPTY_LOOKS:
                    self._stopping.set()

    def _is_empty(self) -> bool:
        if self._deletions.undone or self._handling.in_hand:
            return False
        try:
            return all(self._backlog.of(queue).total == 0 for queue in self._consumed)
        except (BotoCoreError, ClientError) as error:
            _log.warning("cannot count messages", action="count_failed", error=str(error))
            return False

    def _finish(
        self,
        polls: Sequence[threading.Thread],
        leases: threading.Thread,
        deletions: threading.Thread,
    ) -> bool:
        """Wait for what was begun, then for what is to be settled, no longer than allowed."""
        began = self._clock.monotonic()
        deadline = began + self._pace.drain_seconds
        self._join(polls, began + self._pace.drain_seconds * _UNDISTURBED)
        if any(thread.is_alive() for thread in polls):
            # Work that outlasts the drain stops at its next step and goes back at once.
            self._leases.recall()
        # The rest is for what they leave to be settled: SQS may hang for all of them.
        self._join(polls, deadline - self._pace.drain_seconds * _SETTLING)
        # What waits for a renewal that is under way is settled by the thread that renews.
        self._ended.set()
        self._join((leases,), deadline - self._pace.drain_seconds * _SETTLING / 2)
        self._deletions.close()
        deletions.join(max(0.0, deadline - self._clock.monotonic()))
        unfinished = [each.name for each in (*polls, leases, deletions) if each.is_alive()]
        if unfinished:
            _log.warning(
                "stopped before all was finished; it will come again",
                action="drain_incomplete",
                threads=unfinished,
                in_hand=self._handling.in_hand,
            )
            return False
        _log.info("stopped, all finished", action="consumer_stopped")
        return True

    def _join(self, threads: Sequence[threading.Thread], until: float) -> None:
        for thread in threads:
            thread.join(max(0.0, until - self._clock.monotonic()))

    def _tend_gate(self) -> None:
        while not self._ended.wait(_TEND_SECONDS):
            self._gate.tend()

    def _repeat(self, job: SideJob) -> None:
        while not self._ended.wait(job.pause):
            job.run(
                Vitals(
                    poll_age=max(poller.age for poller in self._pollers),
                    refused_for=max(poller.refused_for for poller in self._pollers),
                    lease_age=self._leases.oldest_renewal,
                    in_hand=self._handling.in_hand,
                    longest_in_hand=self._leases.longest_in_hand,
                )
            )

    def _renew_leases(self) -> None:
        """Renew what is due, a few batches at once: a slow one delays no other."""
        under_way: list[Future[None]] = []
        with ThreadPoolExecutor(_RENEWALS_AT_ONCE, thread_name_prefix="renew") as crew:
            while not self._ended.wait(self._leases.pause):
                for renewal in under_way:
                    if renewal.done():
                        renewal.result()
                under_way = [renewal for renewal in under_way if not renewal.done()]
                under_way += [crew.submit(self._leases.renew, each) for each in self._leases.due()]


def _thread(name: str, work: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=work, name=name, daemon=True)


def _poll_seconds(pace: Pace) -> int:
    """How long one poll waits: a poll under way is the least that a stop has to wait for."""
    if pace.until_empty:
        return _DRAIN_POLL_SECONDS
    return min(LONG_POLL_SECONDS, max(1, pace.drain_seconds // 2))
