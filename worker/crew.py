"""A crew of threads that works through a stream, a bounded number of items at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Task = TypeVar("Task")
Result = TypeVar("Result")
_AHEAD = 4


def worked_through(
    tasks: Iterable[Task], work: Callable[[Task], Result], *, threads: int
) -> Iterator[Result]:
    """Each task's result, in the tasks' order.

    Tasks are drawn only as room becomes free, so a stream of any length takes little memory. What
    a task raises is raised here, and no further task is begun.
    """
    with ThreadPoolExecutor(threads) as crew:
        under_way: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                under_way.append(crew.submit(work, task))
                if len(under_way) >= threads * _AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
