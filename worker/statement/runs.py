"""A customer's processing runs in a month, added up one by one in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.ledger.item import COUNTED, OPEN, LedgerItem, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# Of troubled runs, as many are kept: a month in which every run failed still fits into memory.
_MOST_TROUBLED = 200
# A fact in one of these costs: it is billed, or still may be.
BILLED = COUNTED | OPEN


@dataclass(frozen=True, slots=True)
class Runs:
    """A month's processing runs by the ledger.

    Args:
        listed: the first of them, by timestamp.
        troubled: the first of those that did not go the plain way.
        by_state: how many stand where, and their bytes.
        corrections: what was decided about some of them since.
    """

    listed: tuple[LedgerItem, ...] = ()
    troubled: tuple[LedgerItem, ...] = ()
    by_state: Mapping[State, tuple[int, int]] = field(default_factory=dict)
    corrections: tuple[LedgerItem, ...] = ()

    @property
    def count(self) -> int:
        """All of them."""
        return sum(count for count, _ in self.by_state.values())

    @property
    def billed(self) -> int:
        """How many are, or are to be, billed."""
        return sum(count for state, (count, _) in self.by_state.items() if state in BILLED)

    @property
    def total_bytes(self) -> int:
        """The bytes of those, corrections included."""
        runs = sum(total for state, (_, total) in self.by_state.items() if state in BILLED)
        return max(0, runs + billed_bytes(self.corrections))

    @property
    def left_out(self) -> int:
        """How many are not: rejected, refused, skipped, or for a person to decide."""
        return self.count - self.billed


NO_RUNS = Runs()


def billed_bytes(items: Iterable[LedgerItem]) -> int:
    """What facts bill together."""
    return sum(item.fact.value for item in items if item.state in BILLED)


def is_troubled(item: LedgerItem) -> bool:
    """Whether something went wrong with a fact, also where it was mended since."""
    return (
        item.state not in COUNTED | {State.PLANNED, State.SENDING}
        or item.last_error is not None
        or item.retries > 0
        or item.generation > 1
    )


class RunTally:
    """Adds runs up. Of millions, as many are kept as are listed.

    Args:
        most: how many are listed one by one at most, the first by their timestamps.
    """

    def __init__(self, most: int) -> None:
        self._by_state: dict[State, tuple[int, int]] = {}
        self._listed = _First(most)
        self._troubled = _First(_MOST_TROUBLED)
        self._corrections: list[LedgerItem] = []

    def add(self, item: LedgerItem) -> None:
        """Count a run's fact, or a correction of one, in."""
        if item.fact.correction is not None:
            self._corrections.append(item)
            return
        count, total = self._by_state.get(item.state, (0, 0))
        self._by_state[item.state] = count + 1, total + item.fact.value
        self._listed.add(item)
        if is_troubled(item):
            self._troubled.add(item)

    def runs(self, listed: int) -> Runs:
        """All that were added, so many of them listed."""
        return Runs(
            self._listed.items()[:listed],
            self._troubled.items(),
            self._by_state,
            tuple(sorted(self._corrections, key=_stamp)),
        )


class _First:
    """The first so many items by their timestamps."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[LedgerItem] = []

    def add(self, item: LedgerItem) -> None:
        if self._most == 0:
            return
        self._kept.append(item)
        # Now and then, not each time: sorting what is sorted but for its end costs little.
        if len(self._kept) >= 2 * self._most:
            self._kept = list(self.items())

    def items(self) -> tuple[LedgerItem, ...]:
        return tuple(sorted(self._kept, key=_stamp)[: self._most])


def _stamp(item: LedgerItem) -> tuple[datetime, str]:
    return item.fact.stamped_at, item.fact.key
