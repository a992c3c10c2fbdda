"""The survey of a prefix: its division, listed with several pages in flight.

One thread, the caller's, decides and counts; a crew of others fetches and scans. So what is counted
never depends on which page comes first.
"""

from __future__ import annotations

from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import structlog

from worker.listing.division import Division, Unordered

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from worker.listing.page import Page
    from worker.listing.query import Pages
    from worker.listing.stretch import Stretch

_log = structlog.get_logger()


class _Fetched(NamedTuple):
    stretch: Stretch
    page: Future[Page]


class Survey:
    """Lists whole prefixes.

    Args:
        pages: the bucket's pages.
        crew: fetches; is made when a prefix has a second page.
        in_flight: how many pages of one prefix at once; 1 needs no crew.
    """

    def __init__(self, pages: Pages, crew: Callable[[], Executor], in_flight: int) -> None:
        self._pages = pages
        self._crew = crew
        self._in_flight = in_flight

    def division(self, prefix: str) -> Division:
        """What is to be listed, from the start."""
        return Division(prefix, self._in_flight)

    def run(
        self, division: Division, after_page: Callable[[Division], None] = lambda _: None
    ) -> Division:
        """List what is left, to the end.

        Args:
            division: where it stands; it is counted into.
            after_page: is called after every page; what it raises ends the listing.

        Returns:
            The division at its end: another one, counted from the start, where pages turned out
            not to come in S3's order, for then nothing can be divided.

        Raises:
            ListingFailed: a page could not be had.
        """
        try:
            self._list(division, after_page)
        except Unordered as error:
            _log.warning(
                "listed page after page, for the keys come in no order",
                action="listing_unordered",
                prefix=division.prefix,
                error=str(error),
            )
            division = Division(division.prefix, in_flight=1)
            division.ordered = False
            self._list(division, after_page)
        return division

    def _list(self, division: Division, after_page: Callable[[Division], None]) -> None:
        # The first page decides whether there is anything to divide.
        while division.left and not division.is_parallel:
            self._list_one(division)
            after_page(division)
        if division.left:
            self._list_side_by_side(division, after_page)

    def _list_one(self, division: Division) -> None:
        stretch = division.next()
        if stretch is not None:
            division.count(stretch, self._pages.fetch(stretch.query(division.prefix)))

    def _list_side_by_side(
        self, division: Division, after_page: Callable[[Division], None]
    ) -> None:
        crew = self._crew()
        done: SimpleQueue[_Fetched] = SimpleQueue()
        under_way: dict[Stretch, Future[Page]] = {}
        try:
            while division.left:
                while (stretch := division.next()) is not None:
                    under_way[stretch] = self._begin(crew, division.prefix, stretch, done)
                fetched = done.get()
                del under_way[fetched.stretch]
                division.count(fetched.stretch, fetched.page.result())
                after_page(division)
        finally:
            for future in under_way.values():
                future.cancel()

    def _begin(
        self, crew: Executor, prefix: str, stretch: Stretch, done: SimpleQueue[_Fetched]
    ) -> Future[Page]:
        # In the caller's context: a page is fetched under the lease of the message in hand.
        fetch = copy_context().run
        future = crew.submit(fetch, self._pages.fetch, stretch.query(prefix))
        future.add_done_callback(lambda page: done.put(_Fetched(stretch, page)))
        return future
