"""The walk from page to page of one prefix, to its end and never in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.listing.errors import RepeatedToken
from worker.listing.query import PageQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.listing.page import Page
    from worker.listing.query import Pages


class TokenTrail:
    """Notices a circle of tokens of any length, remembering one of them (Brent's method)."""

    def __init__(self) -> None:
        self._kept: str | None = None
        self._steps = 0
        self._power = 1

    def follow(self, token: str) -> None:
        """Take note of the next token.

        Raises:
            RepeatedToken: it was seen before; by the third time round at the latest.
        """
        if token == self._kept:
            raise RepeatedToken("a continuation token came again: S3 leads in a circle")
        self._steps += 1
        if self._steps == self._power:
            self._kept, self._steps, self._power = token, 0, self._power * 2


def walk(pages: Pages, prefix: str, after: str | None = None) -> Iterator[Page]:
    """Every page of a prefix, in order, behind a key.

    Raises:
        ListingFailed: a page could not be had, or tokens repeat.
    """
    query = PageQuery(prefix, after=after)
    trail = TokenTrail()
    while True:
        page = pages.fetch(query)
        if page.token is not None:
            trail.follow(page.token)
        yield page
        if page.token is None:
            return
        query = PageQuery(prefix, token=page.token)
