"""The division of a prefix into stretches that are listed side by side.

Pure: it is told of pages and says what to ask for. The first page comes alone. A prefix that has
more is divided by the density that its pages show; whoever becomes free takes a part of the
stretch that has most left. A key is counted in the one stretch it lies in, by its place in S3's
order (that of UTF-8 bytes, which for Python is that of its strings), wherever a page happens to
end: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from operator import ge
from typing import TYPE_CHECKING

from worker.listing.alphabet import Alphabet
from worker.listing.errors import WrongPage
from worker.listing.stretch import Guess, Stretch
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.listing.page import Page

# A part is worth a listing of its own if it has so many pages: the last one overlaps by half.
_PAGES_A_PART = 12
# A first guess may be wrong in all its parts, so it is not made for all at once.
_PARTS_AT_ONCE = 16
# More pages than any prefix has: such a density says that keys lie in heaps.
_MOST_PAGES = 10**6
# Where to look first while nothing proves that keys are spread evenly: a counter goes on near by.
_UNPROVEN = tuple(Fraction(share, 64) for share in (1, 8, 16, 32, 48))
# Guesses that find nothing: so many at first, and of every so many pages one. Twice as many where
# a stretch's density has proved right.
_MISSES_FREE = 16
_PAGES_A_MISS = 30
_SHOWN = 120


class Unordered(WrongPage):
    """Pages do not come in S3's order: nothing can be divided, and nothing resumed."""


class Division:
    """What is counted of a prefix, and what is left.

    Args:
        prefix: what every key begins with.
        in_flight: how many stretches are listed side by side at most; 1 divides nothing.
    """

    def __init__(self, prefix: str, in_flight: int) -> None:
        self.prefix = prefix
        self.in_flight = in_flight
        self.total_bytes = 0
        self.objects = 0
        self.pages = 0
        self.ordered = True
        self._learned = False
        self._misses = 0
        self._answered = 0
        self._found = {Guess.EVENLY: 1.0, Guess.HEAP: 1.0}
        self._alphabet = Alphabet(prefix)
        self._open: list[Stretch] = [Stretch(None, None)]
        self._waiting: list[Stretch] = list(self._open)

    @property
    def usage(self) -> Usage:
        """What is counted so far."""
        return Usage(self.total_bytes, self.objects)

    @property
    def left(self) -> Sequence[Stretch]:
        """What is not yet listed to its end; empty when all is done."""
        return self._open

    @property
    def percent(self) -> int | None:
        """How much is listed, by the density so far; None while that tells nothing."""
        left = sum(stretch.pages_left(self.prefix, self._alphabet) for stretch in self._open)
        return None if left > _MOST_PAGES else 100 * self.pages // max(1, self.pages + left)

    def resume(
        self, usage: Usage, pages: int, left: Sequence[tuple[str | None, str | None]]
    ) -> None:
        """Go on from where another division of the same prefix stood, instead of the start.

        Args:
            usage: what it had counted.
            pages: how many it had listed.
            left: what it had not: keys behind the first of each pair, up to the second.
        """
        self.total_bytes, self.objects = usage.total_bytes, usage.objects
        self.pages = pages
        self._open = [Stretch(after, until) for after, until in left]
        self._waiting = list(self._open)

    @property
    def is_parallel(self) -> bool:
        """Whether more than one page may be asked for at once."""
        return self.in_flight > 1 and (self.pages > 0 or len(self._open) > 1)

    def next(self) -> Stretch | None:
        """A stretch whose next page is to be asked for; it is not given out again until counted."""
        return self._waiting.pop(0) if self._waiting else None

    def count(self, stretch: Stretch, page: Page) -> None:
        """Count a page of a stretch.

        Raises:
            Unordered: its keys are not where S3's order has them.
            RepeatedToken: the stretch leads in a circle.
        """
        self.pages += 1
        self._check_order(stretch, page)
        if not self._learned and page.token is not None and self.in_flight > 1:
            self._learn_all(page)
        before = self.objects
        if stretch.until is not None and (page.last_key or "") > stretch.until:
            self._count_up_to(stretch.until, page)
            ended = True
        else:
            self.total_bytes += page.total_bytes
            self.objects += page.objects
            ended = page.token is None or page.last_key == stretch.until is not None
        if stretch.guess is not None and stretch.pages == 0:
            self._note_guess(stretch, stretch.guess, found=not ended or self.objects > before)
        stretch.pages += 1
        stretch.left = None
        if ended:
            self._open.remove(stretch)
        else:
            self._go_on(stretch, page)
        self._divide()

    def _go_on(self, stretch: Stretch, page: Page) -> None:
        if page.token is not None:
            stretch.trail.follow(page.token)
        stretch.token = page.token
        if page.last_key is not None:
            if stretch.first is None:
                stretch.first = page.first_key
            stretch.after = page.last_key
            if stretch.pages == 1 and stretch.guess is not None:
                self._alphabet.learn((page.last_key,))
        self._waiting.append(stretch)

    def _count_up_to(self, until: str, page: Page) -> None:
        """Count the part of a page that lies in its stretch: its last key lies behind."""
        keys = page.keys()
        _check_sorted(keys)
        objects = bisect_right(keys, until)
        self.objects += objects
        self.total_bytes += sum(page.sizes_of_first(objects))

    def _check_order(self, stretch: Stretch, page: Page) -> None:
        first, last = page.first_key, page.last_key
        if first is None or last is None:
            return
        if first > last or (stretch.after is not None and first <= stretch.after):
            self.ordered = False
            if self.in_flight > 1:
                raise Unordered(f"{first[:_SHOWN]!r} comes where S3 has nothing before it")

    def _learn_all(self, page: Page) -> None:
        self._learned = True
        keys = page.keys()
        _check_sorted(keys)
        self._alphabet.learn(keys)

    def _divide(self) -> None:
        while (free := self.in_flight - len(self._open)) > 0:
            misses = self._likely_misses()
            allowed = _MISSES_FREE + self.pages // _PAGES_A_MISS
            if misses > 2 * allowed:
                return
            left = {
                stretch: stretch.pages_left(self.prefix, self._alphabet) for stretch in self._open
            }
            divisible = (
                stretch
                for stretch, pages in left.items()
                if misses <= allowed or (stretch.is_proven and pages < _MOST_PAGES)
            )
            widest = max(divisible, key=left.__getitem__, default=None)
            if widest is None or left[widest] < 2 * _PAGES_A_PART:
                return
            told = (
                pages or stretch.expected for stretch, pages in left.items() if pages < _MOST_PAGES
            )
            fair = max(_PAGES_A_PART, sum(told) // self.in_flight)
            parts = min(free + 1, max(2, left[widest] // fair), _PARTS_AT_ONCE)
            self._split(widest, self._guesses(widest, left[widest], parts), free)

    def _likely_misses(self) -> int:
        """Those there were, and as large a part of the guesses whose page is still to come."""
        open_guesses = sum(1 for stretch in self._open if stretch.guess and not stretch.pages)
        return self._misses + open_guesses * self._misses // max(1, self._answered)

    def _guesses(self, stretch: Stretch, pages_left: int, parts: int) -> dict[str, Guess]:
        """Where to divide: by density where it proved right, else by several ways at once."""
        if pages_left > _MOST_PAGES:
            for_heap, for_evenly = (
                round(1 + 2 * self._found[way] / max(self._found.values()))
                for way in (Guess.HEAP, Guess.EVENLY)
            )
            guessed = dict.fromkeys(
                stretch.heap_ends(self.prefix, self._alphabet, for_heap), Guess.HEAP
            )
            shares = [Fraction(part, for_evenly + 1) for part in range(1, for_evenly + 1)]
        elif stretch.guess is not None and not stretch.doubted:
            guessed = {}
            shares = [Fraction(part, parts) for part in range(1, parts)]
        else:
            guessed = {}
            shares = [share for share in _UNPROVEN if pages_left * share >= _PAGES_A_PART]
        found = stretch.at(self.prefix, self._alphabet, shares)
        return guessed | dict.fromkeys(found, Guess.EVENLY)

    def _split(self, stretch: Stretch, guessed: Mapping[str, Guess], most: int) -> None:
        keys = sorted(guessed)[:most]
        stretch.expected, *foretold = stretch.foretold(self.prefix, self._alphabet, keys)
        stretch.divided_at, stretch.left = stretch.pages, None
        stretch.doubted = False
        for key, end, pages in zip(keys, [*keys[1:], stretch.until], foretold, strict=False):
            part = Stretch(key, end, guess=guessed[key], parent=stretch, expected=pages, start=key)
            self._open.append(part)
            self._waiting.append(part)
        if keys:
            stretch.until = keys[0]

    def _note_guess(self, part: Stretch, guess: Guess, *, found: bool) -> None:
        """Lean towards what found something; a quarter of what was learned fades each time."""
        self._answered += 1
        self._misses += not found
        self._found[guess] = max(0.1, self._found[guess] * 0.75 + 0.25 * found)
        if part.parent is not None and not found:
            part.parent.doubted = True


def _check_sorted(keys: Sequence[str]) -> None:
    if any(map(ge, keys, keys[1:])):
        first, second = next((first, second) for first, second in pairwise(keys) if first >= second)
        raise Unordered(f"{second[:_SHOWN]!r} comes after {first[:_SHOWN]!r}")
