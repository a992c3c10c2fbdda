"""When a fact may be corrected or cancelled: pure functions of the items and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.ledger.fact import LONGEST_VALUE_DIGITS
from worker.ledger.item import OPEN, LedgerItem, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# https://docs.stripe.com/api/billing/meter-event-adjustment/create: "within 24 hours of Stripe
# receiving them". Five minutes are left for clocks that disagree.
CANCEL_WITHIN = timedelta(hours=24) - timedelta(minutes=5)
# https://docs.stripe.com/api/billing/meter-event/create: at most 35 days back. A correction has to
# arrive, through retries too.
OLDEST_STAMP = timedelta(days=34)
_MAY_COUNT = OPEN | {State.MANUAL}


@dataclass(frozen=True, slots=True)
class Corrected:
    """A fact with everything that was decided about it since.

    Args:
        item: the fact.
        corrections: its corrections, by number.
        cancellation: of its current generation's event, if there is one.
    """

    item: LedgerItem
    corrections: tuple[LedgerItem, ...] = ()
    cancellation: LedgerItem | None = None

    @property
    def parts(self) -> tuple[LedgerItem, ...]:
        """The fact and whatever adds to it or takes from it."""
        whole = (self.item, *self.corrections)
        return whole if self.cancellation is None else (*whole, self.cancellation)

    @property
    def billed_bytes(self) -> int:
        """What the fact comes to: its value, if counted, with every counted correction."""
        return sum(part.fact.value for part in self.parts if part.counted)

    @property
    def least_bytes(self) -> int:
        """The least that it may come to, however what is still open turns out."""
        return self.billed_bytes + sum(
            min(part.fact.value, 0) for part in self.parts if part.state in _MAY_COUNT
        )

    @property
    def next_number(self) -> int:
        """The number of the next correction."""
        return len(self.corrections) + 1


def why_not_correct(corrected: Corrected, value: int) -> str | None:
    """Why a fact may not be corrected by so many bytes; None where it may."""
    item = corrected.item
    if value == 0:
        return "a correction of nothing changes nothing"
    if len(str(abs(value))) > LONGEST_VALUE_DIGITS:
        return f"Stripe takes {LONGEST_VALUE_DIGITS} digits at most"
    if item.fact.correction is not None:
        return f"it is a correction itself; correct {item.fact.correction.of}"
    if not item.counted:
        return (
            f"it is {item.state}: nothing was billed that could be corrected. Settle it first, or "
            "send it anew by `resend`"
        )
    if corrected.cancellation is not None and corrected.cancellation.state in _MAY_COUNT:
        return "the fate of its cancellation is open; wait until it is settled"
    if corrected.least_bytes + value < 0:
        return (
            f"it comes to {corrected.least_bytes:,} bytes, corrections included: {-value:,} cannot "
            "be taken away. Stripe bills a negative sum as zero"
        )
    return None


def why_not_cancel(corrected: Corrected, now: datetime) -> str | None:
    """Why a fact's meter event may not be cancelled; None where it may."""
    item = corrected.item
    if item.fact.correction is not None and item.fact.correction.cancels is not None:
        return "it is a cancellation itself; bill the bytes again by a correction"
    if item.state not in {State.SENT, State.CONFIRMED} or item.sent_at is None:
        return f"it is {item.state}: Stripe has no event of it that could be cancelled"
    # Stripe may have had it since the first attempt, whichever was answered.
    since = item.first_attempt_at or item.sent_at
    if now >= since + CANCEL_WITHIN:
        return (
            f"Stripe cancels events for 24 hours, and may have had it since {since:%Y-%m-%d %H:%M} "
            f"UTC. Take the bytes away by a correction: --bytes -{item.fact.value}"
        )
    if corrected.corrections and corrected.billed_bytes != item.fact.value:
        return "it was corrected; take the rest away by another correction"
    return None


def same_decision(corrections: Sequence[LedgerItem], value: int, by: str, why: str) -> bool:
    """Whether the last correction says the very same: most likely a command that was repeated."""
    if not corrections:
        return False
    last = corrections[-1].fact
    correction = last.correction
    return correction is not None and (last.value, correction.by, correction.why) == (
        value,
        by,
        why,
    )
