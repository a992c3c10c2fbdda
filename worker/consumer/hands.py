"""Hands: the threads that handle messages.

They live as long as the worker, so that what a library keeps per thread (a connection to Stripe)
is kept; and they are daemons, so that a handler that hangs cannot hold up the end of the process.
"""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Task = TypeVar("Task")
# Hands that work side by side become free one shortly after the other; who does not is long busy.
_NEXT_FREE_WITHIN_SECONDS = 0.02
_ALL_FREE_WITHIN_SECONDS = 0.1


class Hands(Generic[Task]):
    """So many threads, each doing one task at a time.

    Args:
        count: how many.
        name: begins the threads' names.
        work: does a task.
    """

    def __init__(self, count: int, name: str, work: Callable[[Task], None]) -> None:
        self._work = work
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._free = threading.Semaphore(count)
        self._threads = tuple(
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(count)
        )

    @property
    def threads(self) -> Sequence[threading.Thread]:
        """The threads, for who watches over them."""
        return self._threads

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def reserve(self, most: int, timeout: float) -> int:
        """Wait for a free hand and reserve up to so many; 0 where none became free in time.

        The first is not sent off with a call of its own, but waits a moment for the others.
        """
        if not self._free.acquire(timeout=timeout):
            return 0
        taken, until = 1, time.monotonic() + _ALL_FREE_WITHIN_SECONDS
        while taken < min(most, len(self._threads)):
            left = min(_NEXT_FREE_WITHIN_SECONDS, until - time.monotonic())
            if not self._free.acquire(timeout=max(0.0, left)):
                break
            taken += 1
        return taken

    def release(self, count: int) -> None:
        """Give reserved hands back that got nothing to do."""
        if count:
            self._free.release(count)

    def give(self, task: Task) -> None:
        """Give a task to a reserved hand."""
        self._tasks.put(task)

    def finish(self) -> None:
        """Let every hand end once it has nothing left to do."""
        for _ in self._threads:
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._work(task)
            self._free.release()
