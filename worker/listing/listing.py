"""The listing: what lies under a prefix, in exact sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def usage(self, prefix: str, counts: Callable[[str], bool] | None = None) -> Usage:
        """Bytes and objects under ``prefix``, of the keys that count; None counts them all.

        Raises:
            ListingFailed: a page could not be had. A partial sum is never returned.
        """
        total = objects = 0
        for page in walk(self._pages, prefix):
            if counts is None:
                total += page.total_bytes
                objects += page.objects
                continue
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
