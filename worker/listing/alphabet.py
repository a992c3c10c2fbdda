"""The alphabet of keys: where, between two keys, a third lies in the middle.

Keys are read as numbers whose digits are the characters seen in the same part of the path. For
run ids in hexadecimal, the middle of ``…/0`` and ``…/f`` is then ``…/7``; by character codes it
would be among signs that no id has. A wrong guess costs a page, never a key.
"""

from __future__ import annotations

import string
from bisect import bisect_left
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLASSES = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_SMALL_CLASSES = (string.digits, string.digits + "abcdef", string.digits + "ABCDEF")
# Behind everything that begins alike, among the characters that ids are made of.
END = "~"
_DEPTH = 20


class Alphabet:
    """Learns the characters of each part of the path below a prefix.

    Args:
        prefix: what every key begins with.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: dict[int, list[set[str]]] = {}
        self._digits: dict[int, str] = {}

    def learn(self, keys: Iterable[str]) -> None:
        """Take note of the characters of keys, by part and by place in the part."""
        for key in keys:
            for index, part in enumerate(key[len(self._prefix) :].split("/")):
                columns = self._seen.setdefault(index, [])
                columns.extend(set() for _ in range(len(part) - len(columns)))
                for column, letter in zip(columns, part, strict=False):
                    column.add(letter)
        self._digits.clear()

    def position(self, key: str | None, base: str) -> int:
        """Where a key lies among those that begin with ``base``: from 0 to :meth:`width`.

        None is the end of them all.
        """
        if key is None:
            return self.width(base)
        digits = self._digits_behind(base)
        if not key.startswith(base):
            return 0 if key < base else self.width(base)
        # A key that ends with END stands for all that begin like it.
        rest = len(digits) - 1 if key.endswith(END) else 0
        number = 0
        for index in range(len(base), len(base) + _DEPTH):
            digit = bisect_left(digits, key[index]) if index < len(key) else rest
            number = number * len(digits) + min(digit, len(digits) - 1)
        return number

    def anchored(self, base: str, key: str) -> str:
        """``base``, and what follows it in a key that is no digit: the same in every key."""
        while len(base) < len(key) and key[len(base)] not in self._digits_behind(base):
            base += key[len(base)]
        return base

    def varies(self, key: str, depth: int) -> bool:
        """Whether other keys are likely to have another character there."""
        return key[depth] in self._digits_behind(key[:depth])

    def width(self, base: str) -> int:
        """How many positions there are behind ``base``."""
        return int(len(self._digits_behind(base)) ** _DEPTH)

    def key_at(self, position: int, base: str) -> str:
        """A key that lies at a position: short, and perhaps nobody's."""
        digits = self._digits_behind(base)
        letters: list[str] = []
        for _ in range(_DEPTH):
            position, digit = divmod(position, len(digits))
            letters.append(digits[digit])
        return base + "".join(reversed(letters)).rstrip(digits[0])

    def _digits_behind(self, base: str) -> str:
        index = base.count("/", len(self._prefix))
        if index not in self._digits:
            columns = self._seen.get(index, [])
            # What never changes, such as `part-`, says nothing of what changes.
            varying = [column for column in columns if len(column) > 1] or columns
            self._digits[index] = _closed(set().union(*varying))
        return self._digits[index]


def _closed(seen: set[str]) -> str:
    """The digits that the characters seen are likely to be some of, in order."""
    told = {letter for letter in seen if letter.isalnum()} or seen or set(string.digits)
    for small in _SMALL_CLASSES:
        if told <= set(small):
            return small
    whole = {letter for known in _CLASSES if told & set(known) for letter in known}
    return "".join(sorted(told | whole))


def common(first: str, second: str) -> str:
    """What both begin with."""
    pairs = zip(first, second, strict=False)
    return first[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))]
