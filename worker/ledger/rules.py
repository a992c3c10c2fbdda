"""The rules by which a fact moves: pure functions of an item, an answer and the time.

Assumed of Stripe: a request lands within 30 minutes or never, and an identifier is kept for at
least 24 hours (https://docs.stripe.com/api/billing/meter-event/create). So an attempt may be
repeated under the same identifier for 23 hours after the first, and never by itself after that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.ledger.answer import Accepted, Answer, Door, TurnedAway, Unclear
from worker.ledger.item import COUNTED, STUCK, LedgerItem, State
from worker.ledger.presence import Presence

if TYPE_CHECKING:
    from datetime import datetime

    from worker.ledger.fact import Fact, StripeAccount

RESEND_WINDOW = timedelta(hours=23)
CONFIRM_AFTER = timedelta(hours=1)
CONFIRM_WITHIN = timedelta(hours=48)
DECIDE_WITHIN = RESEND_WINDOW + timedelta(hours=24)
# A request lands within half an hour or never, and its identifier is forgotten a day later.
ABSENT_AFTER_CLAIM = timedelta(hours=24)
POSTPONED_BY = timedelta(hours=1)
# A fact that stands still is asked for again after it, as long as nobody was told.
TOLD_WITHIN = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(hours=1)
_DOUBLINGS = 11


@dataclass(frozen=True, slots=True)
class Attempt:
    """Claim it and call Stripe."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another holds the claim until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """Only the summaries can tell: too late to send again, or not confirmed in time."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing to send."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A person decides."""

    reason: str


Step = Attempt | Busy | Overdue | Settled | Stuck


def first_item(fact: Fact, now: datetime) -> LedgerItem:
    """The item a new fact begins as.

    Zero is confirmed at once and nothing is sent; a value that Stripe cannot take is rejected.
    """
    state, error = State.PLANNED, None
    due: datetime | None = now
    if fact.value == 0:
        state, due = State.CONFIRMED, None
    elif fact.exceeds_stripe:
        state, due = State.REJECTED, now + TOLD_WITHIN
        error = f"{fact.value} bytes have more than the 15 significant digits that Stripe takes"
    return LedgerItem(
        fact=fact,
        state=state,
        generation=1,
        fence=1,
        attempts=0,
        retries=0,
        created_at=now,
        next_attempt_at=due,
        last_error=error,
    )


def skipped_item(fact: Fact, reason: str, now: datetime) -> LedgerItem:
    """The item of a fact that is not to be billed, with the reason."""
    return replace(
        first_item(fact, now), state=State.SKIPPED, next_attempt_at=None, last_error=reason
    )


def next_step(item: LedgerItem, now: datetime) -> Step:
    """What may be done with an item now."""
    if item.state is State.SENT and now >= confirm_by(item):
        return Overdue()
    if item.state in COUNTED or item.state is State.SKIPPED:
        return Settled()
    if item.state in STUCK:
        return Stuck(f"{item.state}: {item.last_error or 'no reason recorded'}")
    if item.state is State.SENDING and item.claim_until is not None and now < item.claim_until:
        return Busy(item.claim_until)
    if item.first_attempt_at is not None and now >= item.first_attempt_at + RESEND_WINDOW:
        return Overdue()
    return Attempt()


def claimed(
    item: LedgerItem, now: datetime, claim: timedelta, account: StripeAccount
) -> LedgerItem:
    """The item as a claim leaves it. The fence it carries must be shown to record the answer.

    The first claim freezes the account, where Stripe could not be asked for it before.
    """
    until = now + claim
    return replace(
        item,
        fact=replace(item.fact, account=item.fact.account.completed_by(account)),
        state=State.SENDING,
        fence=item.fence + 1,
        attempts=item.attempts + 1,
        claim_until=until,
        first_attempt_at=item.first_attempt_at or now,
        next_attempt_at=until,
    )


def answered(held: LedgerItem, answer: Answer, now: datetime, jitter: float) -> LedgerItem:
    """The item as Stripe's answer leaves it.

    Args:
        held: the item as this worker's claim left it.
        answer: what became of the call.
        now: the time of the answer.
        jitter: from 0 to 1, spreads the next attempt over the second half of the pause.
    """
    moved = replace(held, fence=held.fence + 1)
    match answer:
        case Accepted():
            return replace(
                moved,
                state=State.SENT,
                sent_at=now,
                next_attempt_at=now + CONFIRM_AFTER,
                last_error=None,
            )
        case TurnedAway(door=Door.INVALID, reason=reason) if held.attempts == 1:
            return replace(
                moved,
                state=State.REJECTED,
                next_attempt_at=now + TOLD_WITHIN,
                last_error=reason,
            )
        case TurnedAway(reason=reason) if held.attempts == 1:
            # Nothing was ever taken, so the 23 hours have not begun.
            return replace(
                moved,
                state=State.PLANNED,
                attempts=0,
                retries=held.retries + 1,
                first_attempt_at=None,
                next_attempt_at=now + pause(held.retries, jitter),
                last_error=reason,
            )
        case TurnedAway(reason=reason) | Unclear(reason=reason):
            return replace(
                moved,
                state=State.UNKNOWN,
                retries=held.retries + 1,
                next_attempt_at=now + pause(held.retries, jitter),
                last_error=reason,
            )


def confirm_by(item: LedgerItem) -> datetime:
    """By when the summaries have to show a fact that was sent."""
    return (item.sent_at or item.created_at) + CONFIRM_WITHIN


def examined(item: LedgerItem, presence: Presence, now: datetime) -> LedgerItem:
    """The item after the summaries were asked about it.

    Takes a ``sent`` item, or one whose fate is open and that may not be sent again. The machine
    never starts another generation: what stays undecided is a person's.
    """
    moved = replace(item, fence=item.fence + 1)
    present = presence is Presence.PRESENT
    if item.state is State.SENT:
        if present:
            return replace(moved, state=State.CONFIRMED, next_attempt_at=None, last_error=None)
        deadline = confirm_by(item)
        reason = "Stripe took it 48 hours ago and its summaries still do not show it"
    else:
        if present:
            return replace(
                moved,
                state=State.SENT,
                sent_at=now,
                next_attempt_at=now + CONFIRM_AFTER,
                last_error=None,
            )
        deadline = (item.first_attempt_at or item.created_at) + DECIDE_WITHIN
        reason = (
            f"its fate is open since {item.first_attempt_at:%Y-%m-%d %H:%M} UTC and Stripe's "
            f"summaries do not show it ({item.last_error})"
        )
    if now >= deadline:
        return left_to_a_person(item, reason, now)
    waited = now - (deadline - DECIDE_WITHIN)
    return replace(moved, next_attempt_at=min(now + max(waited / 4, CONFIRM_AFTER), deadline))


def may_be_invoiced(item: LedgerItem, finalized_at: datetime, *, exactly: bool) -> bool:
    """Whether a fact stands on a final invoice whose line bills what the ledger comes to.

    Args:
        item: the fact.
        finalized_at: when the invoice became final; what came later is not on it.
        exactly: whether the line bills byte by byte, so that no fact can be missing from it. Where
            it bills larger units, a late fact may hide in the rounding.
    """
    if item.state is not State.CONFIRMED or item.fact.value == 0:
        return False
    return exactly or (item.sent_at is not None and item.sent_at < finalized_at)


def invoiced(item: LedgerItem) -> LedgerItem:
    """The item of a confirmed fact that stands on a final invoice."""
    return replace(item, state=State.INVOICED, fence=item.fence + 1, next_attempt_at=None)


def refused(item: LedgerItem, reason: str, now: datetime) -> LedgerItem:
    """The item after Stripe reported, at whatever time, that it did not count the event."""
    return replace(
        item,
        state=State.REFUSED,
        fence=item.fence + 1,
        next_attempt_at=now + TOLD_WITHIN,
        last_error=reason,
    )


def found_by_summaries(item: LedgerItem, now: datetime) -> LedgerItem:
    """The item of a fact that Stripe has although this ledger never sent it."""
    return replace(
        item,
        state=State.SENT,
        fence=item.fence + 1,
        sent_at=now,
        next_attempt_at=now + CONFIRM_AFTER,
        last_error=None,
    )


def why_not_resend(item: LedgerItem, presence: Presence, now: datetime) -> str | None:
    """Why a person may not start the next generation of a fact; None where they may.

    Either nothing was ever taken (refused at the door or by a report on the only attempt), or a day
    has passed since the last claim ran out and the summaries account for the fact's minute exactly
    without it. Then a new identifier cannot bill it twice.
    """
    if item.state not in STUCK:
        return f"it is {item.state}; only rejected, refused and manual facts can be sent anew"
    if item.claim_until is not None and now < item.claim_until:
        return f"a claim on it runs until {item.claim_until:%Y-%m-%d %H:%M:%S} UTC"
    if item.state is not State.MANUAL and item.attempts <= 1:
        return None
    absent_from = (item.claim_until or item.created_at) + ABSENT_AFTER_CLAIM
    if now < absent_from:
        return f"its fate is certain only from {absent_from:%Y-%m-%d %H:%M} UTC on; wait until then"
    if presence is Presence.PRESENT:
        return "Stripe's summaries show it: it is billed"
    if presence is Presence.UNDECIDED:
        return (
            "Stripe's summaries of its minute are not explained exactly without it; confirm or "
            "settle the other facts of that minute first"
        )
    return None


def resent(item: LedgerItem, now: datetime) -> LedgerItem:
    """The item as the next generation begins."""
    return replace(
        item,
        state=State.PLANNED,
        generation=item.generation + 1,
        fence=item.fence + 1,
        attempts=0,
        claim_until=None,
        first_attempt_at=None,
        next_attempt_at=now,
        sent_at=None,
        last_error=None,
    )


def held_back(item: LedgerItem, reason: str, now: datetime, jitter: float) -> LedgerItem:
    """The item of a fact that could not be tried, because Stripe could not be asked before it."""
    return replace(
        item,
        fence=item.fence + 1,
        retries=item.retries + 1,
        next_attempt_at=now + pause(item.retries, jitter),
        last_error=reason,
    )


def postponed(item: LedgerItem, now: datetime) -> LedgerItem:
    """The item of a fact that is not to be sent now, though it may be."""
    return replace(item, fence=item.fence + 1, next_attempt_at=now + POSTPONED_BY)


def left_to_a_person(item: LedgerItem, reason: str, now: datetime) -> LedgerItem:
    """The item after the machine found that it may not decide."""
    return replace(
        item,
        state=State.MANUAL,
        fence=item.fence + 1,
        next_attempt_at=now + TOLD_WITHIN,
        last_error=reason,
    )


def told(item: LedgerItem) -> LedgerItem:
    """The item of a fact that stands still, once a dead letter tells a person of it."""
    return replace(item, fence=item.fence + 1, next_attempt_at=None)


def pause(retries: int, jitter: float) -> timedelta:
    """The wait after so many earlier ones: 2 s, doubling to an hour, the second half jittered."""
    doubled = timedelta(seconds=_FIRST_PAUSE.seconds << min(retries, _DOUBLINGS))
    full = min(doubled, _LONGEST_PAUSE)
    return full / 2 + full / 2 * jitter
