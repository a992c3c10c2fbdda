"""Whether Stripe counted a fact, told from the sum of the minute it is stamped in.

Stripe's summaries give one sum per meter, customer and minute, and may lag: what they show is the
sum of some of the events that were really taken. So a fact is *present* when every way to explain
the sum needs it, and *absent* when the sum is explained exactly without it by what is known to be
there. Anything else is undecided, and nothing is done about it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from worker.ledger.item import LedgerItem, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What the summaries showed once stays there; a later refusal moves the item.
_CERTAIN = frozenset({State.CONFIRMED, State.INVOICED})
_POSSIBLE = frozenset({State.SENT, State.SENDING, State.UNKNOWN, State.MANUAL})
# Subsets are counted by their sums; more than this in one minute is left to a person.
_MOST_POSSIBLE = 20


class Presence(Enum):
    """What the summaries say of a fact."""

    PRESENT = "present"
    ABSENT = "absent"
    UNDECIDED = "undecided"


def presence_of(
    item: LedgerItem,
    minute: Iterable[LedgerItem],
    observed: int,
    *,
    planned_too: bool = False,
) -> Presence:
    """Judge one fact by the sum of its minute.

    Args:
        item: the fact in question.
        minute: every ledger item of the same meter, customer and minute, read after the sum.
        observed: the sum that Stripe's summaries show, in bytes.
        planned_too: whether facts that this ledger never sent may be counted all the same, as
            after it was restored to an earlier point.
    """
    doubtful = _POSSIBLE | {State.PLANNED} if planned_too else _POSSIBLE
    others = [other for other in minute if other.fact.key != item.fact.key]
    rest = observed - sum(other.fact.value for other in others if other.state in _CERTAIN)
    possible = [other.fact.value for other in others if other.state in doubtful]
    if not possible and rest == 0:
        return Presence.ABSENT
    if len(possible) > _MOST_POSSIBLE:
        every = rest == item.fact.value + sum(possible)
        return Presence.PRESENT if every else Presence.UNDECIDED
    sums = _subset_sums(possible)
    with_it = rest - item.fact.value in sums
    without_it = rest in sums
    return Presence.PRESENT if with_it and not without_it else Presence.UNDECIDED


def all_counted(items: Sequence[LedgerItem], observed: int) -> bool:
    """Whether a window's sum is that of every fact in it that may have been counted.

    All values are positive, so no smaller set of them has the same sum.
    """
    counted = [item.fact.value for item in items if item.state in _CERTAIN | _POSSIBLE]
    return min(counted, default=0) > 0 and observed == sum(counted)


def _subset_sums(values: Sequence[int]) -> set[int]:
    sums = {0}
    for value in values:
        sums |= {value + known for known in sums}
    return sums
