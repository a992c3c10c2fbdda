"""The pressure on S3: how many pages may be in flight, halved when S3 asks for it.

One for the whole process, whatever it lists. It grows by one for every full round of pages that
came without complaint
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pressure:
    """Lets through as many requests at once as S3 bears.

    Args:
        most: never more than these.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._in_flight = 0
        self._cuts = 0
        self._room = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return int(self._limit)

    @contextmanager
    def request(self) -> Iterator[Request]:
        """Wait for room, then hold it while a request runs."""
        with self._room:
            while self._in_flight >= self.limit:
                self._room.wait()
            self._in_flight += 1
            request = Request(self._cuts)
        try:
            yield request
        finally:
            with self._room:
                self._in_flight -= 1
                self._learn(request)
                self._room.notify_all()

    def _learn(self, request: Request) -> None:
        if not request.complained:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
        elif request.began_after == self._cuts:
            # Only once for all that were under way together: they say the same.
            self._cuts += 1
            self._limit = max(1.0, self._limit / 2)


class Request:
    """A request under way; ``complained`` is set where S3 asked to slow down."""

    __slots__ = ("began_after", "complained")

    def __init__(self, began_after: int) -> None:
        self.began_after = began_after
        self.complained = False
