"""A poll loop that turns and gets nothing from SQS is not taken for one that works."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from producers.queues import Queue
from tests.unit.consumer.queue_world import SetClock
from worker.consumer.poller import Poller

if TYPE_CHECKING:
    from worker.consumer.handling import Handling
    from worker.consumer.receiving import Receiving

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ReceiveMessage")


class Refusing:
    """An empty queue that may not be received from until a time.

    Args:
        clock: the time.
        until: when it may, in seconds from now.
    """

    queue = Queue.DAILY_SIZING

    def __init__(self, clock: SetClock, until: float) -> None:
        self.clock = clock
        self.until = clock.passed + until

    def receive(self, *_: object, **__: object) -> tuple[list[object], float]:
        if self.clock.passed < self.until:
            raise DENIED
        self.clock.sleep(20)
        return [], self.clock.monotonic()


class Open:
    """A gate that is open for so many seconds."""

    def __init__(self, clock: SetClock, seconds: float) -> None:
        self.clock = clock
        self.until = clock.passed + seconds

    def lets_through(self, _: Queue) -> bool:
        return self.clock.passed < self.until

    def tend(self) -> None:
        """Nothing to look after."""


class Ended(threading.Event):
    """Is set at a time; waiting for it passes the time."""

    def __init__(self, clock: SetClock, seconds: float) -> None:
        super().__init__()
        self.clock = clock
        self.until = clock.passed + seconds

    def is_set(self) -> bool:
        return self.clock.passed >= self.until

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.sleep(timeout or 0)
        return self.is_set()


def polled(*, refused: float, opened: float = 10_000, ended: float = 900) -> Poller:
    clock = SetClock()
    poller = Poller(
        receiving=cast("Receiving", Refusing(clock, refused)),
        handling=cast("Handling", None),  # no message ever comes
        gate=Open(clock, opened),
        clock=clock,
        concurrency=1,
        stopping=Ended(clock, ended),
    )
    poller.run()
    return poller


def test_refused_all_along() -> None:
    assert 880 <= polled(refused=10_000).refused_for <= 940


def test_refused_for_a_while() -> None:
    assert polled(refused=700).refused_for == 0


def test_what_is_not_asked_is_not_refused() -> None:
    assert polled(refused=10_000, opened=800).refused_for == 0
