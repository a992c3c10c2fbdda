"""What one page of a listing is asked for, and who answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from worker.listing.page import Page


@dataclass(frozen=True, slots=True)
class PageQuery:
    """One request of ``ListObjectsV2``.

    Args:
        prefix: what every key begins with.
        after: list only keys behind this one, in the order of their UTF-8 bytes.
        token: go on where an earlier page ended; ``after`` means nothing beside it.
    """

    prefix: str
    after: str | None = None
    token: str | None = None

    def parameters(self) -> dict[str, str]:
        """As the query string has them."""
        # URL encoding, for a key may hold characters that XML cannot.
        asked = {"list-type": "2", "encoding-type": "url", "prefix": self.prefix}
        if self.token is not None:
            asked["continuation-token"] = self.token
        elif self.after is not None:
            asked["start-after"] = self.after
        return asked


class Pages(Protocol):
    """Answers queries."""

    def fetch(self, query: PageQuery) -> Page:
        """The page, checked.

        Raises:
            ListingFailed: it could not be had.
        """
        ...
