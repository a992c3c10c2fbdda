"""A lock between fibers: who waits for it lets the others run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class FiberLock:
    """Stands in for ``threading.Lock`` where it is held during a call."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: list[Callable[[], object]] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as the original has it
        """Take it; False where it was not to be had in time."""
        scheduler = Scheduler.running()
        until = scheduler.now + timeout if timeout >= 0 else float("inf")
        while not self._take():
            if not blocking or scheduler.now >= until:
                return False
            wake = _once(scheduler.park())
            self._waiting.append(wake)
            if timeout >= 0:
                scheduler.at(until, wake)
            scheduler.wait()
        return True

    def _take(self) -> bool:
        if self._held:
            return False
        self._held = True
        return True

    def release(self) -> None:
        """Give it back."""
        self._held = False
        waiting, self._waiting = self._waiting, []
        scheduler = Scheduler.running()
        for wake in waiting:
            scheduler.at(scheduler.now, wake)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class FiberThreading:
    """Stands in for the module ``threading``."""

    Lock = FiberLock


def _once(wake: Callable[[], object]) -> Callable[[], None]:
    woken: list[bool] = []

    def wake_up() -> None:
        if not woken:
            woken.append(True)
            wake()

    return wake_up
