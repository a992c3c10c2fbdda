"""The settlement: bringing a fact from the ledger to Stripe, at most once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import structlog

from worker.errors import Permanent
from worker.lease import check_lease, lease_lost
from worker.ledger.answer import Answer, Door, TurnedAway
from worker.ledger.item import STUCK, LedgerItem
from worker.ledger.rules import (
    Attempt,
    Busy,
    Overdue,
    Step,
    answered,
    claimed,
    first_item,
    held_back,
    left_to_a_person,
    next_step,
    postponed,
    skipped_item,
    told,
)
from worker.ledger.store import LostRace
from worker.outcome import DeadLetter, Done, Outcome, Retry
from worker.stripe_api.connection import StripeUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.clock import Clock
    from worker.controls import Controls
    from worker.examination import Examination
    from worker.ledger.fact import Fact, StripeAccount
    from worker.ledger.store import Ledger
    from worker.stripe_api.invoices import Invoices
    from worker.stripe_api.meter_events import MeterEvents
    from worker.stripe_api.turns import Turns

_log = structlog.get_logger()
# A longer wait is the ledger's: the message is deleted and `resolve` asks again.
LONGEST_HELD = timedelta(minutes=15)
_LONGEST_PAUSE_BEFORE_CALL = timedelta(seconds=60)


class OtherAccount(Permanent):
    """The fact belongs to another Stripe account, or to the other mode, than the key."""


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """What is sent at all.

    Args:
        mode: ``on``; ``shadow`` records and sends nothing; ``verify`` asks Stripe's summaries
            before every first call, as after the ledger was restored to an earlier point.
        bill_from: facts stamped before it are not billed; None bills all.
    """

    mode: Literal["on", "shadow", "verify"] = "on"
    bill_from: datetime | None = None

    def skips(self, stamped_at: datetime) -> str | None:
        """Why a new fact with this stamp is not to be billed; None where it is."""
        if self.bill_from is not None and stamped_at < self.bill_from:
            return f"stamped before BILL_FROM {self.bill_from:%Y-%m-%dT%H:%M:%SZ}"
        return "SEND=shadow: recorded, not sent" if self.mode == "shadow" else None


class Settlement:
    """Freezes facts and makes the attempts that the rules allow.

    Args:
        ledger: where facts stand.
        events: sends them.
        examination: asks about facts that may not be sent again.
        invoices: tells whether usage would come too late.
        turns: say when a call may be made.
        account: says whose key is in use.
        likely_account: says so as far as it is known without Stripe.
        trip: is told when Stripe cannot be asked.
        clock: the time.
        claim: how long a claim holds.
        policy: what is sent at all.
        controls: what an operator has paused or excluded.
        tokens: a new random token per call, for fresh idempotency keys.
        jitter: a random number from 0 to 1 per back-off.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        events: MeterEvents,
        examination: Examination,
        invoices: Invoices,
        turns: Turns,
        account: Callable[[], StripeAccount],
        likely_account: Callable[[], StripeAccount],
        trip: Callable[[str], None],
        clock: Clock,
        claim: timedelta,
        policy: SendPolicy,
        controls: Callable[[], Controls],
        tokens: Callable[[], str],
        jitter: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._events = events
        self._examination = examination
        self._invoices = invoices
        self._turns = turns
        self._account = account
        self._likely_account = likely_account
        self._trip = trip
        self._clock = clock
        self._claim = claim
        self._policy = policy
        self._controls = controls
        self._tokens = tokens
        self._jitter = jitter

    def trusts_rows(self, stamped_at: datetime) -> bool:
        """Whether a row that says billed is to be believed against an empty ledger.

        Not in shadow and before BILL_FROM, where another system bills and nothing is sent; not
        while verifying, where Stripe is asked.
        """
        return self._policy.mode != "verify" and self._policy.skips(stamped_at) is None

    def find(self, key: str) -> LedgerItem | None:
        """The ledger's item of a fact, if there is one."""
        return self._ledger.find(key)

    def account(self) -> StripeAccount:
        """Whose key is in use, for freezing a fact; its id may not be known yet."""
        return self._likely_account()

    def freeze(self, fact: Fact) -> LedgerItem:
        """Write a new fact, or find the one that was frozen before.

        In shadow, before the instant from which is billed, and for an excluded customer, it is
        written as skipped.

        Raises:
            LeaseLost: the message in hand is another worker's by now.
        """
        check_lease()
        return self._ledger.freeze(self._new(fact))

    def skip(self, fact: Fact, reason: str) -> LedgerItem:
        """Write down that a fact is not to be billed, unless it was frozen before."""
        check_lease()
        return self._ledger.freeze(skipped_item(fact, reason, self._clock.now()))

    def revive(self, skipped: LedgerItem, fact: Fact) -> LedgerItem:
        """Make a fact anew that was skipped, so that nothing was ever sent for it.

        Raises:
            LostRace: another worker was first.
        """
        return self._ledger.revive(skipped, replace(self._new(fact), fence=skipped.fence + 1))

    def _new(self, fact: Fact) -> LedgerItem:
        """What a fact begins as, as far as anything is to be sent at all."""
        now = self._clock.now()
        reason = self._policy.skips(fact.stamped_at) or self._controls().skips(fact.customer_id)
        return first_item(fact, now) if reason is None else skipped_item(fact, reason, now)

    def settle(self, item: LedgerItem) -> LedgerItem:
        """Make one attempt if the rules allow one; returns the item as it then stands.

        Raises:
            OtherAccount: the key in use is not the fact's; nothing was sent.
            LostRace: another worker moved the item meanwhile.
            LeaseLost: the message in hand is another worker's by now; nothing was sent.
        """
        structlog.contextvars.bind_contextvars(
            customer=item.fact.customer_id, attempt=item.attempts
        )
        check_lease()
        now = self._clock.now()
        step = next_step(item, now)
        if not isinstance(step, (Attempt, Overdue)):
            if item.sent_at is not None:
                # Counted in one account or mode, it is not in another.
                _check_account(item, self._likely_account())
            return item
        try:
            account = self._account()
            _check_account(item, account)
            decided = self._before_call(item, step, now)
        except StripeUnavailable as error:
            self._trip(str(error))
            return self._ledger.decide(
                item, held_back(item, str(error), self._clock.now(), self._jitter())
            )
        if decided is not None:
            return decided
        with self._turns.of(item.fact) as had:
            return self._attempt(item, account) if had else item

    def outcome_of(self, item: LedgerItem) -> Outcome:
        """What becomes of the message that asked for a fact, now that the fact stands as it does.

        A fact that stands still is dead-lettered. Once SQS has the letter, and not before, the
        fact leaves the index of what waits: whoever dies in between is followed by another.
        """
        now = self._clock.now()
        if item.state not in STUCK:
            return _outcome_of(item, now)
        return DeadLetter(
            f"{item.fact.key} is {item.state}: {item.last_error or 'no reason recorded'}",
            error_type=str(item.state).capitalize(),
            when_kept=lambda: self._note_told(item),
        )

    def _note_told(self, item: LedgerItem) -> None:
        if item.next_attempt_at is None:
            return
        try:
            self._ledger.decide(item, told(item))
        except LostRace:
            _log.info("a fact moved on", action="letter_outdated", fact=item.fact.key)

    def _attempt(self, item: LedgerItem, account: StripeAccount) -> LedgerItem:
        """Claim, call and record, if the rules still allow it."""
        # Judged again: what was asked of Stripe, and the wait for a turn, may have taken any time.
        claimed_at, now = self._clock.monotonic(), self._clock.now()
        if not isinstance(next_step(item, now), Attempt):
            return item
        check_lease()
        held = self._ledger.claim(item, claimed(item, now, self._claim, account))
        structlog.contextvars.bind_contextvars(attempt=held.attempts)
        answer = self._call(held, claimed_at)
        if isinstance(answer, TurnedAway) and answer.door is Door.THROTTLED:
            self._turns.slow_down(livemode=account.livemode)
        return self._ledger.record(held, answered(held, answer, self._clock.now(), self._jitter()))

    def _before_call(self, item: LedgerItem, step: Step, now: datetime) -> LedgerItem | None:
        """What is known against a call: the item as that leaves it; None to make the call."""
        if isinstance(step, Overdue):
            return self._examination.decide(item)
        paused = self._controls().pause_of(item.fact.customer_id)
        if self._policy.mode == "shadow" or paused is not None:
            return self._ledger.decide(item, postponed(item, now))
        if item.attempts:
            return None
        if self._policy.mode == "verify":
            found = self._examination.verify(item)
            if found is not None:
                return found
        fact = item.fact
        invoice = self._invoices.final_for(fact.customer_id, fact.event_name, fact.stamped_at, now)
        if invoice is None:
            return None
        _log.error(
            "a fact comes after its invoice is final",
            action="fact_after_invoice",
            fact=fact.key,
            invoice=invoice,
        )
        return self._ledger.decide(
            item,
            left_to_a_person(
                item,
                f"invoice {invoice} of its period is final: sent now it would be on none. "
                f"{remedy_after_invoice(fact.value)}",
                self._clock.now(),
            ),
        )

    def _call(self, held: LedgerItem, claimed_at: float) -> Answer:
        passed = self._passed(held, claimed_at)
        if passed >= min(self._claim, _LONGEST_PAUSE_BEFORE_CALL):
            return TurnedAway(
                Door.NOT_SENT, f"{passed.total_seconds():.0f} s passed between claim and call"
            )
        lost = lease_lost()
        if lost is not None:
            return TurnedAway(Door.NOT_SENT, f"the lease was lost after the claim: {lost}")
        return self._events.send(held, self._tokens())

    def _passed(self, held: LedgerItem, claimed_at: float) -> timedelta:
        """The time since the claim, by whichever clock says more.

        A monotonic clock may stand still while its machine is suspended; the wall clock is then
        put right when the machine goes on.
        """
        passed = timedelta(seconds=self._clock.monotonic() - claimed_at)
        if held.claim_until is None:
            return passed
        return max(passed, self._clock.now() - (held.claim_until - self._claim))


def remedy_after_invoice(value: int) -> str:
    """What a person does about bytes that come after their invoice is final."""
    if value < 0:
        return "Give them back by a credit note on that invoice"
    return "Bill it on an invoice item, or leave it"


def _check_account(item: LedgerItem, account: StripeAccount) -> None:
    if item.fact.account.contradicts(account):
        raise OtherAccount(
            f"{item.fact.key} was frozen for Stripe account {_name(item.fact.account)}, the key in "
            f"use is of {_name(account)}; put that account's key back, then replay"
        )


def _outcome_of(item: LedgerItem, now: datetime) -> Outcome:
    step = next_step(item, now)
    if isinstance(step, Busy):
        # Mostly it is settled long before the claim runs out, so the back-off decides.
        return Retry("another worker holds the claim", limited=False)
    if isinstance(step, Overdue):
        return Done(f"{item.state}, waits in the ledger for Stripe's summaries")
    if not isinstance(step, Attempt):
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
