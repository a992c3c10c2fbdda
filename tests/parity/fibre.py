"""Calls into the simulation from outside it: each on a fibre of its own, run to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tests.simulation.faults import Faults, Schedule
from tests.simulation.history import History
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler
from tests.simulation.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
# Longer than any wait of a call that succeeds.
_LONG = 1e6


class Calm:
    """A simulated world in which nothing goes wrong and nothing lags, and one process in it.

    Args:
        start: where time begins, epoch seconds.
    """

    def __init__(self, start: float) -> None:
        self.scheduler = Scheduler(start)
        self.faults = Faults("parity", 1, Schedule())
        self.weather = Weather(index_lag=0.0)
        self.process = Process(
            "parity",
            seed=1,
            scheduler=self.scheduler,
            weather=self.weather,
            faults=self.faults,
            history=History(kept=False),
        )

    def call(self, what: Callable[[], T]) -> T:
        """Do something on a fibre; returns or raises what it does."""
        done: list[T] = []
        failed: list[Exception] = []

        def body() -> None:
            try:
                done.append(what())
            except Exception as error:  # noqa: BLE001 - raised again, outside the fibre
                failed.append(error)
            self.scheduler.stopped = True

        self.scheduler.spawn(body, self.scheduler.now)
        self.scheduler.run(self.scheduler.now + _LONG)
        self.scheduler.stopped = False
        if failed:
            raise failed[0]
        return done[0]

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.scheduler.run(self.scheduler.now + seconds)


class Outside:
    """A simulated client as code that knows nothing of fibres may use it.

    Args:
        inside: the client.
        calm: its world.
    """

    def __init__(self, inside: object, calm: Calm) -> None:
        self._inside = inside
        self._calm = calm

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self._inside, name)

        def call(*arguments: object, **request: object) -> object:
            return self._calm.call(lambda: method(*arguments, **request))

        if name != "get_paginator":
            return call
        return lambda operation: _Pages(method(operation), self._calm)


class _Pages:
    def __init__(self, paginator: object, calm: Calm) -> None:
        self._paginator = paginator
        self._calm = calm

    def paginate(self, **request: object) -> list[object]:
        paginate = getattr(self._paginator, "paginate")  # noqa: B009 - its type is not known here
        return self._calm.call(lambda: list(paginate(**request)))
