"""The protocol broken on purpose, one rule at a time: what the simulation has to notice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import worker.examination
import worker.ledger.store
import worker.settlement
from tests.simulation.scheduler import Scheduler
from tests.simulation.stripe_line import StripeSeen
from worker import expressions
from worker.consumer.handling import Handling
from worker.handlers.bill_month import BillMonthHandler
from worker.late_refusals import LateRefusals, Match
from worker.ledger import rules
from worker.ledger.answer import Answer, Door, TurnedAway
from worker.ledger.item import COUNTED, LedgerItem, State
from worker.ledger.presence import Presence
from worker.ledger.rules import answered, claimed, examined, resent
from worker.month_rows import MonthRows
from worker.resending import Resending
from worker.settlement import Settlement
from worker.tables.daily import BillingStatus, DailyRow, Mark
from worker.usage import month_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import pytest

    from producers.billing_month import BillingMonth
    from producers.messages import BillCustomerMonth
    from worker.consumer.leases import HeldLease
    from worker.consumer.received import ReceivedMessage
    from worker.late_refusals import Noted
    from worker.ledger.fact import StripeAccount
    from worker.outcome import Outcome
    from worker.stripe_api.error_reports import NamedRefusal

_ANY_FENCE = (
    "(#state = :sending OR #state <> :sending) AND (fence = :seenFence OR fence <> :seenFence)"
)
_ANY_ITEM = (
    "(#state = :seenState OR #state <> :seenState) AND generation = :generation "
    "AND (fence = :seenFence OR fence <> :seenFence)"
)


class _Events(Protocol):
    def send(self, item: LedgerItem, token: str) -> Answer: ...


def outcome_without_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(expressions, "LEDGER_CLAIM_HELD", _ANY_FENCE)


def claim_without_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(expressions, "LEDGER_AS_READ", _ANY_ITEM)


def claim_after_the_call(patch: pytest.MonkeyPatch) -> None:
    def settle(self: Settlement, item: LedgerItem) -> LedgerItem:
        now = self._clock.now()
        if not isinstance(rules.next_step(item, now), rules.Attempt):
            return item
        wanted = claimed(item, now, self._claim, item.fact.account)
        answer = self._events.send(wanted, self._tokens())
        held = self._ledger.claim(item, wanted)
        return self._ledger.record(held, answered(held, answer, now, self._jitter()))

    patch.setattr(Settlement, "settle", settle)


def first_attempt_stamped_with_the_outcome(patch: pytest.MonkeyPatch) -> None:
    def late(
        item: LedgerItem, now: datetime, claim: timedelta, account: StripeAccount
    ) -> LedgerItem:
        return replace(claimed(item, now, claim, account), first_attempt_at=item.first_attempt_at)

    patch.setattr(worker.settlement, "claimed", late)
    for name in ("LEDGER_SENT", "LEDGER_UNKNOWN"):
        stamped = getattr(expressions, name).replace(
            "SET ", "SET firstAttemptAt = if_not_exists(firstAttemptAt, :nextAttemptAt), "
        )
        patch.setattr(expressions, name, stamped)

    outcomes = dict(worker.ledger.store._OUTCOMES)  # noqa: SLF001
    outcomes[State.SENT] = expressions.LEDGER_SENT
    outcomes[State.UNKNOWN] = expressions.LEDGER_UNKNOWN
    patch.setattr(worker.ledger.store, "_OUTCOMES", outcomes)
    claim = expressions.LEDGER_CLAIM.replace("firstAttemptAt = :firstAttemptAt, ", "")
    patch.setattr(expressions, "LEDGER_CLAIM", claim)


def throttled_later_goes_back_to_planned(patch: pytest.MonkeyPatch) -> None:
    def forgetful(held: LedgerItem, answer: Answer, now: datetime, jitter: float) -> LedgerItem:
        if isinstance(answer, TurnedAway) and answer.door is Door.THROTTLED:
            held = replace(held, attempts=1)
        return answered(held, answer, now, jitter)

    patch.setattr(worker.settlement, "answered", forgetful)


def refused_later_goes_to_rejected(patch: pytest.MonkeyPatch) -> None:
    def hasty(held: LedgerItem, answer: Answer, now: datetime, jitter: float) -> LedgerItem:
        if isinstance(answer, TurnedAway) and answer.door is Door.INVALID:
            held = replace(held, attempts=1)
        return answered(held, answer, now, jitter)

    patch.setattr(worker.settlement, "answered", hasty)


def no_check_between_claim_and_call(patch: pytest.MonkeyPatch) -> None:
    def call(self: Settlement, held: LedgerItem, claimed_at: float) -> Answer:  # noqa: ARG001
        return self._events.send(held, self._tokens())

    patch.setattr(Settlement, "_call", call)


def only_the_monotonic_clock_is_asked(patch: pytest.MonkeyPatch) -> None:
    def passed(self: Settlement, held: LedgerItem, claimed_at: float) -> timedelta:  # noqa: ARG001
        return timedelta(seconds=self._clock.monotonic() - claimed_at)

    patch.setattr(Settlement, "_passed", passed)


def value_computed_anew(patch: pytest.MonkeyPatch) -> None:
    original = BillMonthHandler.handle

    def handle(self: BillMonthHandler, message: BillCustomerMonth) -> Outcome:
        rows = self._daily.month(message.customer_id, message.month)
        if not rows:
            return original(self, message)
        value = month_figures(row.total_bytes for row in rows).average
        _sending_otherwise(self._settlement, lambda item: _with_value(item, value))
        return original(self, message)

    patch.setattr(BillMonthHandler, "handle", handle)


def timestamp_of_the_retry(patch: pytest.MonkeyPatch) -> None:
    def call(self: Settlement, held: LedgerItem, claimed_at: float) -> Answer:  # noqa: ARG001
        now = self._clock.now().replace(microsecond=0)
        return self._events.send(
            replace(held, fact=replace(held.fact, stamped_at=now)), self._tokens()
        )

    patch.setattr(Settlement, "_call", call)


def resent_after_a_day(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rules, "RESEND_WINDOW", timedelta(days=10))


def next_generation_by_itself(patch: pytest.MonkeyPatch) -> None:
    def eager(item: LedgerItem, presence: Presence, now: datetime) -> LedgerItem:
        if item.state is not State.SENT and presence is not Presence.PRESENT:
            return resent(item, now)
        return examined(item, presence, now)

    patch.setattr(worker.examination, "examined", eager)


def report_before_sent_is_dropped(patch: pytest.MonkeyPatch) -> None:
    """It counts as dealt with, so that its other copy and the next poll do not make it good."""
    original = LateRefusals._note_one  # noqa: SLF001
    dropped: set[tuple[Scheduler, str]] = set()

    def note(self: LateRefusals, refusal: NamedRefusal, noted: Noted) -> None:
        item, _ = self._find(refusal.identifier)
        if item is not None and item.state not in {*COUNTED, State.REFUSED}:
            dropped.add((Scheduler.running(), refusal.identifier))
        if (Scheduler.running(), refusal.identifier) not in dropped:
            original(self, refusal, noted)

    patch.setattr(LateRefusals, "_note_one", note)


def older_generations_report_acted_on(patch: pytest.MonkeyPatch) -> None:
    original = LateRefusals._find  # noqa: SLF001

    def find(self: LateRefusals, identifier: str) -> tuple[LedgerItem | None, Match]:
        item, match = original(self, identifier)
        return item, Match.CURRENT if match is Match.OLDER else match

    patch.setattr(LateRefusals, "_find", find)


def monthly_row_before_the_daily_rows(patch: pytest.MonkeyPatch) -> None:
    original = MonthRows.follow

    def follow(
        self: MonthRows, item: LedgerItem, month: BillingMonth, rows: Sequence[DailyRow]
    ) -> None:
        original(self, item, month, ())
        original(self, item, month, rows)

    patch.setattr(MonthRows, "follow", follow)


def daily_rows_before_the_ledger(patch: pytest.MonkeyPatch) -> None:
    original = BillMonthHandler.handle

    def handle(self: BillMonthHandler, message: BillCustomerMonth) -> Outcome:
        for row in self._daily.month(message.customer_id, message.month):
            if row.status is BillingStatus.PENDING:
                self._daily.mark(message.customer_id, [row.day], Mark(BillingStatus.BILLED, 1))
        return original(self, message)

    patch.setattr(BillMonthHandler, "handle", handle)


def who_stands_still_leaves_the_index(patch: pytest.MonkeyPatch) -> None:
    """Whoever is to tell a person of it may be gone, with the message."""
    closed = expressions.LEDGER_STUCK.split(", nextAttemptAt")[0]
    moved = f"{closed} REMOVE nextAttemptAt, openShard"
    for moves in (worker.ledger.store._OUTCOMES, worker.ledger.store._DECISIONS):  # noqa: SLF001
        for state, update in moves.items():
            if update == expressions.LEDGER_STUCK:
                patch.setitem(moves, state, moved)


def deleted_before_the_rows(patch: pytest.MonkeyPatch) -> None:
    original = Handling.handle

    def handle(self: Handling, message: ReceivedMessage, lease: HeldLease) -> None:
        self._settling._deletions.add(message.queue, message.receipt_handle)  # noqa: SLF001
        self._settling._deletions.flush()  # noqa: SLF001
        original(self, message, lease)

    patch.setattr(Handling, "handle", handle)


def deleted_customers_are_billed_anew(patch: pytest.MonkeyPatch) -> None:
    original = Resending.check

    def check(self: Resending, key: str, generation: int) -> LedgerItem:
        self._customer_problem = lambda _: None
        return original(self, key, generation)

    patch.setattr(Resending, "check", check)


def nobody_asks_for_the_invoice(patch: pytest.MonkeyPatch) -> None:
    def final_for(*_: object) -> None:
        return None

    patch.setattr(StripeSeen, "final_for", final_for)


MUTATIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    mutation.__name__: mutation
    for mutation in (
        outcome_without_fence,
        claim_without_fence,
        claim_after_the_call,
        first_attempt_stamped_with_the_outcome,
        throttled_later_goes_back_to_planned,
        refused_later_goes_to_rejected,
        no_check_between_claim_and_call,
        only_the_monotonic_clock_is_asked,
        value_computed_anew,
        timestamp_of_the_retry,
        resent_after_a_day,
        next_generation_by_itself,
        older_generations_report_acted_on,
        report_before_sent_is_dropped,
        monthly_row_before_the_daily_rows,
        daily_rows_before_the_ledger,
        deleted_before_the_rows,
        who_stands_still_leaves_the_index,
        deleted_customers_are_billed_anew,
        nobody_asks_for_the_invoice,
    )
}


def _with_value(item: LedgerItem, value: int) -> LedgerItem:
    return replace(item, fact=replace(item.fact, value=value))


def _sending_otherwise(settlement: Settlement, change: Callable[[LedgerItem], LedgerItem]) -> None:
    class Changed:
        def __init__(self, inner: _Events) -> None:
            self.inner = inner

        def send(self, item: LedgerItem, token: str) -> Answer:
            return self.inner.send(change(item), token)

    events = settlement._events  # noqa: SLF001
    inner = events.inner if isinstance(events, Changed) else getattr(events, "inner", events)
    settlement._events = Changed(inner)  # noqa: SLF001
