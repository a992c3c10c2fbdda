"""The faults of a run: each falls by chance, has a name, and can be left out of the next run.

Whoever can be struck (a process, a queue, Stripe) draws from a stream of its own, so that a fault
left out moves no other one further than its consequences do.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _no_time() -> float:
    return 0.0


@dataclass(slots=True)
class Schedule:
    """What takes part in a run, by name: what is left out, and what was there.

    Args:
        without: names that are left out.
        parts: what was there, and when, in epoch seconds; 0 for what was there from the beginning.
        reached: how often what happened.
        now: the time.
    """

    without: frozenset[str] = frozenset()
    parts: dict[str, float] = field(default_factory=dict)
    reached: Counter[str] = field(default_factory=Counter)
    now: Callable[[], float] = _no_time

    def takes(self, name: str) -> bool:
        """Whether something takes part; it is noted if so."""
        if name in self.without:
            return False
        self.parts[name] = self.now()
        return True


class Faults:
    """What strikes one part of the world.

    Args:
        who: the part.
        seed: the run's.
        schedule: where faults are noted.
    """

    def __init__(self, who: str, seed: int, schedule: Schedule) -> None:
        self.who = who
        self.rng = random.Random(f"{seed} faults {who}")  # noqa: S311 - has to repeat itself
        self.random = self.rng.random
        self.reached = schedule.reached
        self._schedule = schedule
        self._count = 0

    def strike(self, kind: str, chance: float) -> bool:
        """Whether a fault of that chance falls here."""
        return chance > 0 and self.random() < chance and self.hit(kind) is not None

    def hit(self, kind: str) -> float | None:
        """A fault has been drawn: how bad it is, from 0 to 1; None where it is left out."""
        size = self.random()
        self._count += 1
        schedule = self._schedule
        if kind in schedule.without or not schedule.takes(f"{self.who}/{kind}/{self._count}"):
            return None
        schedule.parts[kind] = 0.0
        schedule.reached[kind] += 1
        return size
