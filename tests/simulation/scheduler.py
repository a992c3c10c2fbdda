"""The scheduler: virtual time, and one fiber at a time.

Every fiber is a greenlet. It runs until it waits; then the earliest thing that is due goes on.
Nothing here reads a real clock or an unseeded random number, so a seed repeats a run exactly.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, ClassVar

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable


class Scheduler:
    """Runs what is due, in the order of virtual time.

    Args:
        start: where time begins, epoch seconds.
    """

    _running: ClassVar[Scheduler | None] = None

    def __init__(self, start: float) -> None:
        self.now = start
        self.stopped = False
        self._until = start
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._hub = getcurrent()

    @classmethod
    def running(cls) -> Scheduler:
        """The scheduler of the run under way."""
        assert cls._running is not None
        return cls._running

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Call ``what`` at an instant (epoch seconds); what lies in the past is called next."""
        self._count += 1
        heappush(self._due, (max(self.now, when), self._count, what))

    def spawn(self, body: Callable[[], object], when: float) -> None:
        """Begin a fiber at an instant."""
        self.at(when, greenlet(body, self._hub).switch)

    def sleep(self, seconds: float) -> None:
        """Let others run until so many seconds have passed. Only within a fiber."""
        when = self.now + seconds
        due = self._due
        if when < self._until and not self.stopped and (not due or when < due[0][0]):
            # Nobody else is due before: going on at once is what the hub would do.
            self.now = when
            return
        self._count += 1
        heappush(due, (when, self._count, getcurrent().switch))
        self._hub.switch()

    def park(self) -> Callable[[], object]:
        """What wakes the fiber that is running; it is to call :meth:`wait` next."""
        return getcurrent().switch

    def wait(self) -> None:
        """Let others run until somebody wakes this fiber."""
        self._hub.switch()

    def run(self, until: float) -> None:
        """Run all that is due before an instant, or until :attr:`stopped`."""
        due = self._due
        self._until = until
        Scheduler._running = self
        while due and not self.stopped and due[0][0] < until:
            self.now, _, what = heappop(due)
            what()
        if not self.stopped:
            self.now = max(self.now, until)
