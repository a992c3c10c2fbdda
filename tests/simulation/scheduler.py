"""The scheduler: virtual time, and one fiber at a time.

Every fiber is a greenlet. It runs until it waits; then the earliest thing that is due goes on.
Nothing here reads a real clock or an unseeded random number, so a seed repeats a run exactly.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable


class Scheduler:
    """Runs what is due, in the order of virtual time.

    Args:
        start: where time begins, epoch seconds.
    """

    def __init__(self, start: float) -> None:
        self.now = start
        self.stopped = False
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._hub = getcurrent()

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Call ``what`` at an instant (epoch seconds); what lies in the past is called next."""
        self._count += 1
        heapq.heappush(self._due, (max(when, self.now), self._count, what))

    def spawn(self, body: Callable[[], object], when: float) -> None:
        """Begin a fiber at an instant."""
        self.at(when, greenlet(body, self._hub).switch)

    def sleep(self, seconds: float) -> None:
        """Let others run until so many seconds have passed. Only within a fiber."""
        self.at(self.now + seconds, getcurrent().switch)
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
        while due and not self.stopped and due[0][0] < until:
            self.now, _, what = heapq.heappop(due)
            what()
        if not self.stopped:
            self.now = max(self.now, until)
