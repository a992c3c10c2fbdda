"""The listing: what lies under a prefix, in exact sums."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from worker.listing.survey import Survey
from worker.listing.walk import walk
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.listing.query import Pages


class Listing(Protocol):
    """Sums up prefixes."""

    def usage(self, prefix: str, counts: Callable[[str], bool] | None = None) -> Usage:
        """Bytes and objects under ``prefix``, of the keys that count; None counts them all."""
        ...

    def last_written(self, prefix: str) -> datetime | None:
        """When the latest object under ``prefix`` was written, UTC; None where there is none."""
        ...


class S3Listing:
    """Lists a bucket.

    Args:
        pages: the bucket's pages.
        in_flight: how many of them at once at most.
    """

    def __init__(self, pages: Pages, in_flight: int = 1) -> None:
        self._pages = pages
        self._in_flight = in_flight
        self.survey = Survey(pages, self._crew, in_flight)
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def usage(self, prefix: str, counts: Callable[[str], bool] | None = None) -> Usage:
        """Bytes and objects under ``prefix``, of the keys that count; None counts them all.

        Raises:
            ListingFailed: a page could not be had. A partial sum is never returned.
        """
        if counts is None:
            return self.survey.run(self.survey.division(prefix)).usage
        total = objects = 0
        for page in walk(self._pages, prefix):
            for entry in page.entries():
                if counts(entry.key):
                    total += entry.size
                    objects += 1
        return Usage(total, objects)

    def last_written(self, prefix: str) -> datetime | None:
        """When the latest object under ``prefix`` was written, UTC; None where there is none.

        Raises:
            ListingFailed: a page could not be had.
        """
        times = (page.last_written() for page in walk(self._pages, prefix))
        return max((time for time in times if time is not None), default=None)

    def close(self) -> None:
        """End the threads, after the pages they are fetching."""
        with self._lock:
            if self._threads is not None:
                self._threads.shutdown(cancel_futures=True)
                self._threads = None

    def _crew(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._in_flight, thread_name_prefix="list")
            return self._threads
