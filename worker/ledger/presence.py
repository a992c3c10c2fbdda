"""Whether Stripe counted a fact, told from the sum of the minute it is stamped in.

Stripe's summaries give one sum per meter, customer and minute, and may lag: what they show is the
sum of some of the events that were really taken, of which corrections take bytes away. So a fact is
*present* when every way to explain the sum needs it, and *absent* when the sum is explained exactly
without it by what is known to be there. Anything else is undecided, and nothing is done about it.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from worker.ledger.item import LedgerItem, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

# What the summaries showed once stays there; a later refusal moves the item.
_CERTAIN = frozenset({State.CONFIRMED, State.INVOICED})
_POSSIBLE = frozenset({State.SENT, State.SENDING, State.UNKNOWN, State.MANUAL})
# Assumed: what Stripe took is in its summaries within this time.
SUMMARIES_LAG = timedelta(hours=23)
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
    now: datetime,
    restored: bool = False,
) -> Presence:
    """Judge one fact by the sum of its minute.

    Args:
        item: the fact in question.
        minute: every ledger item of the same meter, customer and minute, read after the sum.
        observed: the sum that Stripe's summaries show, in bytes.
        now: when the sum was asked for.
        restored: whether the ledger may have forgotten what it sent, as after a restore to an
            earlier point. Then planned facts may be counted too; and a fact that no explanation
            needs is absent, for its next call is caught by its identifier where the sum is late.
    """
    doubtful = _POSSIBLE | {State.PLANNED} if restored else _POSSIBLE
    others = [other for other in minute if other.fact.key != item.fact.key]
    partner = _partner(item, others)
    if partner is not None:
        others.remove(partner)
    rest = observed - sum(other.fact.value for other in others if other.state in _CERTAIN)
    possible = [other.fact.value for other in others if other.state in doubtful]
    if partner is not None:
        return _cancelled(item, partner, rest, possible, now)
    if not possible and rest == 0:
        return Presence.ABSENT
    if restored and rest == 0 and min(item.fact.value, *possible) > 0:
        return Presence.ABSENT
    if len(possible) > _MOST_POSSIBLE:
        # All of them explain the sum alone only where none of them takes away.
        every = min(item.fact.value, *possible) > 0 and rest == item.fact.value + sum(possible)
        return Presence.PRESENT if every else Presence.UNDECIDED
    sums = _subset_sums(possible)
    with_it = rest - item.fact.value in sums
    without_it = rest in sums
    if restored and without_it and not with_it:
        return Presence.ABSENT
    return Presence.PRESENT if with_it and not without_it else Presence.UNDECIDED


def _partner(item: LedgerItem, others: Iterable[LedgerItem]) -> LedgerItem | None:
    """The event that an item cancels, or its cancellation, once Stripe has taken that."""
    for other in others:
        for event, cancellation in ((other, item), (item, other)):
            correction = cancellation.fact.correction
            if (
                correction is not None
                and correction.cancels == event.identifier
                and cancellation.counted
            ):
                return other
    return None


def _cancelled(
    item: LedgerItem, partner: LedgerItem, rest: int, possible: Sequence[int], now: datetime
) -> Presence:
    """Judge an event with its cancellation: together they are nothing in the sum.

    That nothing is shown proves something only when nothing can be late any more.
    """
    event = (
        item if item.fact.correction is None or item.fact.correction.cancels is None else partner
    )
    taken = max(item.sent_at or item.created_at, partner.sent_at or partner.created_at)
    if now < taken + SUMMARIES_LAG or len(possible) > _MOST_POSSIBLE:
        return Presence.UNDECIDED
    sums = _subset_sums(possible)
    holds = rest in sums and rest - event.fact.value not in sums
    return Presence.PRESENT if holds else Presence.UNDECIDED


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
