"""The strays: folders under the prefixes that are no customer's, so that nobody pays for them."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from worker.inventory.finding import Folder, Unbilled
from worker.usage import Usage

if TYPE_CHECKING:
    from worker.inventory.tally import Holding
    from worker.prefixes import Prefixes

# The rest is counted, and not named: a bucket may hold any number of folders.
_NAMED = 1_000


class Strays:
    """Gathers them, and remembers the largest.

    Args:
        prefixes: where customers' objects lie.
    """

    def __init__(self, prefixes: Prefixes) -> None:
        self._prefixes = prefixes
        self._folders = self._bytes = self._objects = 0
        self._largest: list[tuple[int, str, int]] = []

    def add(self, holding: Holding) -> None:
        """Take note of what an owner whom nobody knows holds. Folders of no bytes cost nobody."""
        for prefix, usage in (
            (self._prefixes.uploads, holding.usage.uploaded),
            (self._prefixes.products, holding.usage.produced),
        ):
            if usage.total_bytes:
                whole = prefix if holding.owner is None else f"{prefix}{holding.owner}/"
                self._note(whole, usage)

    def unbilled(self) -> Unbilled:
        """All of them, the largest first."""
        return Unbilled(
            folders=self._folders,
            usage=Usage(self._bytes, self._objects),
            largest=[
                Folder(prefix, Usage(total, objects))
                for total, prefix, objects in sorted(self._largest, reverse=True)
            ],
        )

    def _note(self, prefix: str, usage: Usage) -> None:
        self._folders += 1
        self._bytes += usage.total_bytes
        self._objects += usage.objects
        heapq.heappush(self._largest, (usage.total_bytes, prefix, usage.objects))
        if len(self._largest) > _NAMED:
            heapq.heappop(self._largest)
