"""The settlement: bringing a fact from the ledger to Stripe, at most once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.errors import Permanent
from worker.ledger.answer import Answer, Door, TurnedAway
from worker.ledger.item import STUCK, LedgerItem
from worker.ledger.rules import (
    Attempt,
    Busy,
    Overdue,
    Stuck,
    answered,
    claimed,
    first_item,
    next_step,
    skipped_item,
)
from worker.outcome import DeadLetter, Done, Outcome, Retry

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.clock import Clock
    from worker.ledger.fact import Fact, StripeAccount
    from worker.ledger.store import Ledger
    from worker.stripe_api.meter_events import MeterEvents

# A longer wait is the ledger's: the message is deleted and `resolve` asks again.
LONGEST_HELD = timedelta(minutes=15)
_LONGEST_PAUSE_BEFORE_CALL = timedelta(seconds=60)


class OtherAccount(Permanent):
    """The fact belongs to another Stripe account, or to the other mode, than the key."""


class Settlement:
    """Freezes facts and makes the attempts that the rules allow.

    Args:
        ledger: where facts stand.
        events: sends them.
        account: says whose key is in use.
        clock: the time.
        claim: how long a claim holds.
        tokens: a new random token per call, for fresh idempotency keys.
        jitter: a random number from 0 to 1 per back-off.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        events: MeterEvents,
        account: Callable[[], StripeAccount],
        clock: Clock,
        claim: timedelta,
        tokens: Callable[[], str],
        jitter: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._events = events
        self._account = account
        self._clock = clock
        self._claim = claim
        self._tokens = tokens
        self._jitter = jitter

    def find(self, key: str) -> LedgerItem | None:
        """The ledger's item of a fact, if there is one."""
        return self._ledger.find(key)

    def account(self) -> StripeAccount:
        """Whose key is in use, for freezing a fact."""
        return self._account()

    def freeze(self, fact: Fact) -> LedgerItem:
        """Write a new fact, or find the one that was frozen before."""
        return self._ledger.freeze(first_item(fact, self._clock.now()))

    def skip(self, fact: Fact, reason: str) -> LedgerItem:
        """Write down that a fact is not to be billed, unless it was frozen before."""
        return self._ledger.freeze(skipped_item(fact, reason, self._clock.now()))

    def settle(self, item: LedgerItem) -> LedgerItem:
        """Make one attempt if the rules allow one; returns the item as it then stands.

        Raises:
            OtherAccount: the key in use is not the fact's; nothing was sent.
            LostRace: another worker moved the item meanwhile.
        """
        now = self._clock.now()
        if not isinstance(next_step(item, now), Attempt):
            return item
        if item.fact.account.contradicts(self._account()):
            raise OtherAccount(
                f"{item.fact.key} was frozen for Stripe account {_name(item.fact.account)}, the "
                f"key in use is of {_name(self._account())}; put that account's key back, then "
                "replay"
            )
        claimed_at = self._clock.monotonic()
        held = self._ledger.claim(item, claimed(item, now, self._claim))
        answer = self._call(held, claimed_at)
        return self._ledger.record(held, answered(held, answer, self._clock.now(), self._jitter()))

    def _call(self, held: LedgerItem, claimed_at: float) -> Answer:
        passed = timedelta(seconds=self._clock.monotonic() - claimed_at)
        if passed >= min(self._claim, _LONGEST_PAUSE_BEFORE_CALL):
            return TurnedAway(
                Door.NOT_SENT, f"{passed.total_seconds():.0f} s passed between claim and call"
            )
        return self._events.send(held, self._tokens())


def outcome_of(item: LedgerItem, now: datetime) -> Outcome:
    """What becomes of the message that asked for a fact, now that the fact stands as it does."""
    if item.state in STUCK:
        return DeadLetter(
            f"{item.fact.key} is {item.state}: {item.last_error or 'no reason recorded'}",
            error_type=str(item.state).capitalize(),
        )
    step = next_step(item, now)
    if isinstance(step, Busy):
        return Retry("another worker holds the claim", _seconds(step.until - now), limited=False)
    if isinstance(step, Overdue):
        return Done("waits in the ledger: its fate is open and it is too late to send it again")
    if isinstance(step, Stuck) or not isinstance(step, Attempt):
        return Done(str(item.state))
    wait = (item.next_attempt_at or now) - now
    if wait > LONGEST_HELD:
        return Done(f"{item.state}, waits in the ledger: {item.last_error}")
    return Retry(item.last_error or str(item.state), _seconds(wait), limited=False)


def _seconds(wait: timedelta) -> float:
    return max(wait.total_seconds(), 1.0)


def _name(account: StripeAccount) -> str:
    mode = "live" if account.livemode else "test"
    return f"{account.id or 'unknown'} ({mode})"
