"""Facts that stand still: a person is told of each, whatever became of the message that asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import Match, Rule, Status
from producers.queues import Queue
from tests.integration.scenario import Calls, bill_body, file_body
from worker.adjusting import Decision
from worker.lease import LeaseLost, held_by
from worker.ledger.item import State
from worker.outcome import DeadLetter

if TYPE_CHECKING:
    from tests.integration.scenario import Scenario
    from worker.ledger.item import LedgerItem

OCTOBER = "storage-usage#cus_A#2026-10"
RUN = "file_processed#run-1"
HOUR = timedelta(hours=1)
POST = "stripe POST billing/meter_events"
EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")


class RunsOut:
    """The lease of a worker that is suspended while Stripe answers it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def lost(self) -> str | None:
        return "its lease ran out without a renewal" if POST in self._calls.made else None


def a_month(scenario: Scenario) -> str:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [3_000_000] * 31)
    return bill_body("cus_A")


def a_run(scenario: Scenario) -> str:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A")
    scenario.upload("service/input/cus_A/run-1/in.bin", 7)
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return file_body(scenario.stack.bucket, "service/output/cus_A/run-1/out.bin", at)


def standing(scenario: Scenario, key: str) -> LedgerItem:
    item = scenario.worker.ledger.find(key)
    assert item is not None
    return item


def waits(scenario: Scenario) -> list[str]:
    return [item.fact.key for item in scenario.worker.ledger.waiting(None)]


def settled_for_a_message_that_is_gone(scenario: Scenario, body: str, queue: Queue) -> None:
    """A worker learns after the call that its message is another's, which has deleted it."""
    calls = Calls()
    worker = scenario.installation(calls=calls)
    with held_by(RunsOut(calls)), pytest.raises(LeaseLost):
        scenario.handle(body, queue=queue, worker=worker)


def an_hour_later(scenario: Scenario) -> None:
    """The hourly tick, and workers that do what it asks for."""
    scenario.wall.advance(HOUR)
    scenario.worker.jobs().resolve(due_by=scenario.wall())
    scenario.drain(Queue.MONTHLY_BILLING, Queue.FILE_PROCESSED, Queue.STRIPE_EVENTS)


def test_a_month_that_is_rejected_for_a_message_that_is_gone_is_told_of(scenario: Scenario) -> None:
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=400)))
    settled_for_a_message_that_is_gone(scenario, a_month(scenario), Queue.MONTHLY_BILLING)
    assert standing(scenario, OCTOBER).state is State.REJECTED

    an_hour_later(scenario)

    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert (row["billingStatus"], row["stripeMeterStatus"]) == ("failed", "failed")
    assert {day["billingStatus"] for day in scenario.days_of("cus_A")} == {"failed"}
    (letter,) = scenario.letters(Queue.MONTHLY_BILLING)
    assert letter.error_type == "Rejected"
    assert waits(scenario) == []
    assert scenario.counted() == ()


def test_a_run_that_is_rejected_for_a_message_that_is_gone_is_told_of(scenario: Scenario) -> None:
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=400)))
    settled_for_a_message_that_is_gone(scenario, a_run(scenario), Queue.FILE_PROCESSED)
    assert standing(scenario, RUN).state is State.REJECTED

    an_hour_later(scenario)

    row = scenario.run_of("run-1")
    assert row is not None
    assert row["stripeMeterError"] == standing(scenario, RUN).last_error
    (letter,) = scenario.letters(Queue.FILE_PROCESSED)
    assert letter.error_type == "Rejected"
    assert waits(scenario) == []


def test_a_fact_waits_until_its_letter_is_kept_and_no_longer(scenario: Scenario) -> None:
    # Given a handler that was done, and a worker that died before SQS had its letter
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=400)))
    assert isinstance(scenario.handle(a_month(scenario)), DeadLetter)
    assert waits(scenario) == [OCTOBER]

    an_hour_later(scenario)
    assert len(scenario.letters(Queue.MONTHLY_BILLING)) == 1
    assert waits(scenario) == []

    # Told once, nobody is told again
    an_hour_later(scenario)
    assert scenario.letters(Queue.MONTHLY_BILLING) == []


def test_a_letter_of_what_was_sent_anew_meanwhile_closes_nothing(scenario: Scenario) -> None:
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=400), times=1))
    outcome = scenario.handle(a_month(scenario))
    assert isinstance(outcome, DeadLetter)
    scenario.wall.advance(HOUR)
    resending = scenario.worker.resending
    resending.resend(resending.check(OCTOBER, 1))

    outcome.when_kept()

    assert standing(scenario, OCTOBER).state is State.PLANNED
    assert waits(scenario) == [OCTOBER]


def test_a_value_that_stripe_cannot_take_is_told_of_by_whoever_comes_next(
    scenario: Scenario,
) -> None:
    # Given a worker that froze it, and died before SQS had its letter
    body = a_month(scenario)
    scenario.month("cus_A", "2026-10", [10**15] * 31)
    assert isinstance(scenario.handle(body), DeadLetter)

    an_hour_later(scenario)

    (letter,) = scenario.letters(Queue.MONTHLY_BILLING)
    assert "15 significant digits" in letter.reason
    assert waits(scenario) == []


def test_a_cancellation_that_its_events_refusal_ends_is_told_of(scenario: Scenario) -> None:
    # Given a cancellation whose message is gone: it waits in the ledger for its next attempt
    scenario.handle(a_month(scenario))
    adjusting = scenario.worker.adjusting
    adjusting.begin(adjusting.cancellation(OCTOBER, Decision("ada", "a test")))
    assert len(scenario.bodies(Queue.MONTHLY_BILLING)) == 1
    scenario.simulator.refuse("storage-usage:cus_A:2026-10")
    scenario.wall.advance(HOUR)
    scenario.worker.jobs().fetch_reports()
    scenario.drain(Queue.STRIPE_EVENTS, Queue.MONTHLY_BILLING)

    an_hour_later(scenario)

    cancelled = standing(scenario, "cancellation#storage-usage:cus_A:2026-10")
    assert cancelled.state is State.REFUSED
    letters = scenario.letters(Queue.MONTHLY_BILLING)
    assert {letter.error_type for letter in letters} == {"Refused"}
    assert any(cancelled.fact.key in letter.body for letter in letters)
    assert waits(scenario) == []
