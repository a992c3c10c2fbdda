"""The walk: a pass over a queue, narrowed to a selection, each letter with its forecast."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.dead_letters.subject import read_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from worker.dead_letters.browsing import Browsing
    from worker.dead_letters.forecast import Forecast
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.selection import Selection
    from worker.dead_letters.subject import Subject
    from worker.prefixes import Prefixes

_FORECASTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Read:
    """A letter and what it is about."""

    letter: Letter
    subject: Subject


@dataclass(frozen=True, slots=True)
class Found:
    """A selected letter, and what a replay of it would come to."""

    letter: Letter
    forecast: Forecast


def walk(
    browsing: Browsing,
    selection: Selection,
    prefixes: Prefixes,
    now: datetime,
    on_seen: Callable[[int], None],
) -> Iterator[list[Read]]:
    """The selected letters, some at a time; ``on_seen`` is told how many were seen each time."""
    for letters in browsing:
        read = [Read(each, read_subject(each.body, prefixes)) for each in letters]
        yield [each for each in read if selection.fits(each.letter, each.subject, now)]
        on_seen(len(letters))


def forecast_all(
    reads: list[Read], of: Callable[[Subject], Forecast], pool: ThreadPoolExecutor
) -> list[Found]:
    """Forecast several at once."""
    forecasts = pool.map(of, [each.subject for each in reads])
    return [
        Found(each.letter, each_forecast)
        for each, each_forecast in zip(reads, forecasts, strict=True)
    ]


def forecast_pool() -> ThreadPoolExecutor:
    """Threads enough for forecasts."""
    return ThreadPoolExecutor(_FORECASTS_AT_ONCE, thread_name_prefix="forecast")
