"""The drain: however many threads hang, it takes no longer than it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.unit.consumer.queue_world import SetClock
from worker.consumer.consumer import Consumer, Pace

if TYPE_CHECKING:
    import threading

    from mypy_boto3_sqs import SQSClient

    from producers.queues import QueueDirectory
    from worker.circuit import Gate
    from worker.consumer.backoff import Backoff
    from worker.consumer.dispatch import Dispatch


class Hanging:
    """A thread in a call that is never answered: who waits for it waits in vain."""

    name = "hanging"

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock

    def join(self, timeout: float) -> None:
        self._clock.sleep(timeout)

    def is_alive(self) -> bool:
        return True


@pytest.mark.parametrize("drain_seconds", [1, 10, 110])
def test_where_sqs_hangs_the_drain_ends_in_time_and_says_that_it_is_incomplete(
    drain_seconds: int,
) -> None:
    clock = SetClock()
    consumer = Consumer(
        sqs=cast("SQSClient", None),
        queues=cast("QueueDirectory", None),
        consumed=(),
        dispatch=cast("Dispatch", None),
        gate=cast("Gate", None),
        backoff=cast("Backoff", None),
        clock=clock,
        pace=Pace(concurrency=1, visibility_seconds=60, drain_seconds=drain_seconds),
    )
    hangs = cast("threading.Thread", Hanging(clock))

    finished = consumer._finish([hangs] * 5, hangs, hangs)  # noqa: SLF001 - its threads are given

    assert not finished
    assert clock.passed <= drain_seconds
