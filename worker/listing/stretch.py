"""A stretch of the key space: what lies between two keys, listed page by page."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING

from worker.listing.alphabet import END, common
from worker.listing.query import PageQuery
from worker.listing.walk import TokenTrail

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from fractions import Fraction

    from worker.listing.alphabet import Alphabet

# What cannot be told: more than any bucket has.
UNTOLD = 10**18
# So many pages of a stretch tell its density; so many since its division prove it.
_PAGES_TELLING = 3
_PAGES_PROVING = 8


class Guess(Enum):
    """How a key that divides a stretch was found."""

    EVENLY = "evenly"
    HEAP = "heap"


@dataclass(slots=True, eq=False)
class Stretch:
    """The keys behind ``after`` up to ``until``, the latter included.

    Args:
        after: the last key that was counted, or where the stretch begins; None at the prefix.
        until: None for the prefix's end. It may come nearer while the stretch is listed.
        token: leads to the next page.
        first: the first key that was found; None until there is one.
        pages: how many were counted.
        divided_at: how many pages there were when it was last divided.
        left: how many pages are still to come, if that was asked since the last one.
        guess: how its beginning was guessed; None where nothing was guessed.
        parent: the stretch that it was a part of.
        doubted: the last guess about it found nothing.
        expected: how many pages its parent's density foretold, until its own is known.
        start: the guess that it began at; None where nothing was guessed.
    """

    after: str | None
    until: str | None
    token: str | None = None
    first: str | None = None
    pages: int = 0
    divided_at: int = 0
    left: int | None = None
    guess: Guess | None = None
    parent: Stretch | None = None
    doubted: bool = False
    expected: int = 0
    start: str | None = None
    trail: TokenTrail = field(default_factory=TokenTrail)

    @property
    def is_proven(self) -> bool:
        """Whether its density can be relied on: it was guessed right, and pages agree since."""
        pages = self.pages - self.divided_at
        return self.guess is not None and not self.doubted and pages >= _PAGES_PROVING

    def query(self, prefix: str) -> PageQuery:
        """What to ask for next."""
        return PageQuery(prefix, after=self.after, token=self.token)

    def pages_left(self, prefix: str, alphabet: Alphabet) -> int:
        """How many pages are still to come, by the density of those that came."""
        if self.left is None:
            self.left = self._pages_left(prefix, alphabet)
        return self.left

    def _pages_left(self, prefix: str, alphabet: Alphabet) -> int:
        if self.first is None or self.after is None or self.pages == self.divided_at:
            # Nothing is known yet, or nothing since the last division.
            return 0
        start = self.first
        if self.start is not None and self.pages < _PAGES_TELLING:
            # Pages of one folder say nothing of the gaps between folders: the gap before it does.
            start = self.start
        base = alphabet.anchored(self._base(prefix, self.first), self.after)
        here = alphabet.position(self.after, base)
        covered = here - alphabet.position(start, base)
        left = alphabet.position(self.until, base) - here
        return min(UNTOLD, left * self.pages // covered) if covered > 0 < left else UNTOLD

    def at(self, prefix: str, alphabet: Alphabet, shares: Iterable[Fraction]) -> list[str]:
        """Keys behind which lies that share of what is left, if keys are spread evenly over it."""
        if self.after is None:
            return []
        base = alphabet.anchored(self._base(prefix, self.after), self.after)
        here = alphabet.position(self.after, base)
        left = alphabet.position(self.until, base) - here
        return self._within(alphabet.key_at(here + int(left * share), base) for share in shares)

    def foretold(self, prefix: str, alphabet: Alphabet, keys: Sequence[str]) -> list[int]:
        """How many of the pages left lie up to each key and behind the last, spread evenly."""
        pages = self.pages_left(prefix, alphabet)
        if self.after is None or pages == UNTOLD:
            return [0] * (len(keys) + 1)
        base = alphabet.anchored(self._base(prefix, self.after), self.after)
        edges = [alphabet.position(key, base) for key in (self.after, *keys, self.until)]
        whole = max(1, edges[-1] - edges[0])
        return [pages * (end - start) // whole for start, end in pairwise(edges)]

    def heap_ends(self, prefix: str, alphabet: Alphabet, parts: int) -> list[str]:
        """Keys that divide what is left by what has ever less in common with the keys in hand.

        Keys that lie in a heap, such as a counter's, go on near by: at the end of the same
        thousand, ten thousand, folder. Nothing ends at a letter that every key has, such as those
        of `part-`.
        """
        if self.after is None or self.first is None:
            return []
        known = len(self._base(prefix, self.after))
        varied = min(len(self.after), max(known + 1, len(common(self.first, self.after))))
        after = self.after

        def varying(start: int, stop: int) -> list[int]:
            return [depth for depth in range(start, stop) if alphabet.varies(after, depth)]

        folders = [depth for depth in range(known, varied) if self.after[depth] == "/"]
        name = max([known, *(depth + 1 for depth in folders)])
        # The folder in hand first, then its parents; then the name itself, then their names.
        near = [*reversed(folders), *_spread(varying(name, varied), (parts + 1) // 2)]
        depths = [*near, *_spread(varying(known, name), parts)][:parts]
        return self._within(self.after[: depth + 1] + END for depth in depths)

    def _base(self, prefix: str, key: str) -> str:
        return prefix if self.until is None else common(key, self.until)

    def _within(self, keys: Iterable[str]) -> list[str]:
        return sorted(
            {
                key
                for key in keys
                if (self.after or "") < key and (self.until is None or key < self.until)
            }
        )


def _spread(depths: Sequence[int], parts: int) -> list[int]:
    """So many of the depths, evenly."""
    chosen = sorted({len(depths) * part // parts for part in range(parts)})
    return [depths[at] for at in chosen if at < len(depths)]
