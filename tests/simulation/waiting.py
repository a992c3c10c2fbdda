"""A signal on the simulation's scheduler, in the place of the one between threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.process import Process


class SimulatedSignal:
    """What one fiber of a process waits for.

    Args:
        process: whose; one that is gone wakes no more to any purpose.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._is_set = False
        self._wake: Callable[[], object] | None = None

    def set(self) -> None:
        """Wake who waits."""
        self._is_set = True
        scheduler = self._process.scheduler
        if self._wake is not None:
            scheduler.at(scheduler.now, self._once(self._wake))

    def wait(self, timeout: float) -> None:
        """Wait until it is set, or so many seconds."""
        if not self._is_set:
            scheduler = self._process.scheduler
            self._wake = wake = scheduler.park()
            scheduler.at(scheduler.now + timeout, self._once(wake))
            scheduler.wait()
        self._is_set = False
        self._process.check()

    def _once(self, wake: Callable[[], object]) -> Callable[[], None]:
        def wake_up() -> None:
            if self._wake is wake:
                self._wake = None
                wake()

        return wake_up
