"""The walk: a pass over a queue, narrowed to the letters that are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.dead_letters.subject import read_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.dead_letters.browsing import Browsing
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.subject import Subject
    from worker.prefixes import Prefixes

    OnSeen = Callable[[int], None]
    Meant = Callable[[Letter, Subject], bool]


@dataclass(frozen=True, slots=True)
class Read:
    """A letter and what it is about."""

    letter: Letter
    subject: Subject


def walk(
    browsing: Browsing, meant: Meant, prefixes: Prefixes, on_seen: OnSeen
) -> Iterator[list[Read]]:
    """The letters that are meant, some at a time; ``on_seen`` is told how many were seen."""
    for letters in browsing:
        read = [Read(each, read_subject(each.body, prefixes)) for each in letters]
        yield [each for each in read if meant(each.letter, each.subject)]
        on_seen(len(letters))
