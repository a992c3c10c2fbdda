"""A rate of calls that several threads keep together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.clock import Clock


class CallRate:
    """Spaces calls evenly.

    Args:
        clock: monotonic time, and waiting.
        per_second: how many calls may begin in a second.
    """

    def __init__(self, clock: Clock, per_second: int) -> None:
        self._clock = clock
        self._spacing = 1 / per_second
        self._free_from = clock.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for one's turn."""
        with self._lock:
            now = self._clock.monotonic()
            turn = max(now, self._free_from)
            self._free_from = turn + self._spacing
        if turn > now:
            self._clock.sleep(turn - now)
