"""Defects that were found once: each test opens with the one it holds shut."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from infra.stripe_simulator import ApiKey, Drop, Match, Rule, Status
from producers.messages import Job, Tick
from producers.queues import Queue
from tests.integration.scenario import bill_body, file_body, size_body
from worker.ledger.rules import claimed, held_back
from worker.ledger.store import LostRace
from worker.outcome import DeadLetter, Done, Retry

if TYPE_CHECKING:
    from tests.integration.scenario import Scenario

EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")
EVERYTHING = Match(path_prefix="/v1/")


def a_month(scenario: Scenario, customer: str = "cus_A") -> str:
    scenario.customers(customer)
    scenario.month(customer, "2026-10", [3_000_000] * 31)
    return bill_body(customer)


def a_run(scenario: Scenario, run: str = "run-1", size: int = 7) -> str:
    scenario.upload(f"service/input/cus_A/{run}/in.bin", size)
    key = f"service/output/cus_A/{run}/out.bin"
    return file_body(scenario.stack.bucket, key, scenario.wall())


# A month that was sent under a test key passed for billed under the live one.


def test_what_was_sent_in_test_mode_is_not_billed_in_live_mode(scenario: Scenario) -> None:
    body = a_month(scenario)
    assert isinstance(scenario.handle(body), Done)
    live = SecretStr("sk_live_0123456789")
    scenario.simulator.change_settings(
        api_keys=(*scenario.simulator.settings.api_keys, ApiKey(secret=live))
    )

    outcome = scenario.handle(body, worker=scenario.installation(stripe_api_key=live))

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "OtherAccount"
    assert len(scenario.counted()) == 1


# A repeated or late sizing replaced a day's own measure by a later day's.


def test_a_late_measure_does_not_replace_the_days_own(scenario: Scenario) -> None:
    scenario.day("cus_A", "2026-10-31", 123)
    scenario.upload("service/input/cus_A/run/in.bin", 5)

    assert isinstance(scenario.handle(size_body("cus_A", "2026-10-31")), Done)
    assert scenario.days_of("cus_A")[0]["totalStorageBytes"] == 123


def test_a_late_measure_may_be_renewed_and_is_named_in_the_notes(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    for size in (5, 9):
        scenario.upload("service/input/cus_A/run/in.bin", size)
        assert isinstance(scenario.handle(size_body("cus_A", "2026-10-31")), Done)
    (row,) = scenario.days_of("cus_A")
    assert (row["totalStorageBytes"], row["measuredOn"]) == (9, "2026-11-01")

    scenario.handle(bill_body("cus_A"))

    month = scenario.month_of("cus_A", "2026-10")
    assert month is not None
    assert "measured on a later day: 2026-10-31" in str(month["notes"])


# A proxy's 400 page after Stripe had taken the event made the fact `rejected`.


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429])
def test_an_error_that_is_not_stripes_proves_nothing(scenario: Scenario, status: int) -> None:
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=status, type="")))

    assert isinstance(scenario.handle(body), Retry)

    fact = scenario.fact("storage-usage#cus_A#2026-10")
    assert fact is not None
    assert fact["state"] == "unknown"


# While Stripe could not say whose key it is, no fact was frozen and the run's row said nothing.


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_run_during_an_outage_is_in_the_ledger_and_its_row_says_why(
    scenario: Scenario, status: int
) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A")
    body = a_run(scenario)
    scenario.simulator.add_faults(
        Rule(match=EVERYTHING, fault=Status(status=status, type="api_error"), times=None)
    )

    assert isinstance(scenario.handle(body), Retry)

    fact, row = scenario.fact("file_processed#run-1"), scenario.run_of("run-1")
    assert fact is not None
    assert row is not None
    assert (fact["state"], fact["value"]) == ("planned", 7)
    assert str(status) in str(row["stripeMeterError"])
    assert scenario.worker.circuit.is_open
    scenario.simulator.clear_faults()
    assert isinstance(scenario.finish(body), Done)
    settled = scenario.run_of("run-1")
    assert settled is not None
    assert "stripeMeterError" not in settled
    known = scenario.fact("file_processed#run-1")
    assert known is not None
    assert known["account"] == "acct_simulator"


# A worker that could not ask Stripe took another's claim for its own note to wait, and wrote the
# reason on the run's row, where it stayed: the other one's call succeeded.


def test_a_wait_is_not_taken_for_another_workers_claim(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A")
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Drop()))
    scenario.handle(a_run(scenario))
    ledger, account = scenario.worker.ledger, scenario.worker.settlement.account()
    open_fate = ledger.find("file_processed#run-1")
    assert open_fate is not None
    dead = ledger.claim(open_fate, claimed(open_fate, scenario.wall(), timedelta(0), account))

    taken_over = ledger.claim(dead, claimed(dead, scenario.wall(), timedelta(0), account))
    with pytest.raises(LostRace):
        ledger.decide(dead, held_back(dead, "Stripe could not be asked", scenario.wall(), 0.5))

    assert ledger.find("file_processed#run-1") == taken_over


# The error of a rejected run stayed on its row after a successful resend.


def test_a_resend_that_succeeds_clears_the_error(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A")
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=400, message="no")))
    assert isinstance(scenario.handle(a_run(scenario)), DeadLetter)
    rejected = scenario.run_of("run-1")
    assert rejected is not None
    assert "stripeMeterError" in rejected
    resending = scenario.worker.resending
    scenario.wall.advance(timedelta(minutes=1))

    resending.resend(resending.check("file_processed#run-1", 1))
    scenario.drain(Queue.FILE_PROCESSED)

    row = scenario.run_of("run-1")
    assert row is not None
    assert "stripeMeterError" not in row


# A run that failed, and was run again under the same id, was never billed.


def test_a_failed_run_that_completes_in_the_end_is_billed(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A", "failed")
    body = a_run(scenario)
    assert isinstance(scenario.handle(body), Done)
    assert isinstance(scenario.handle(body), Done)
    assert scenario.counted() == ()

    scenario.run_row("run-1", "cus_A", "completed")
    assert isinstance(scenario.handle(body), Done)

    assert [event.value for event in scenario.counted()] == ["7"]


def test_a_sweep_finds_a_failed_run_that_completed_since(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A", "failed")
    assert isinstance(scenario.handle(a_run(scenario)), Done)
    at = scenario.wall()
    scenario.run_row("run-1", "cus_A", "completed", completedAt=at.isoformat())

    assert scenario.worker.jobs().sweep(at - timedelta(days=1)).sent == 1


# A tick from the future fanned out a dead letter per customer.


def test_a_tick_that_is_not_due_is_a_dead_letter_itself(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    tick = Tick(job=Job.DAILY, scheduled_time=datetime(2030, 1, 1, tzinfo=UTC))

    outcome = scenario.handle(tick.body(), queue=Queue.SCHEDULE)

    assert isinstance(outcome, DeadLetter)
    assert scenario.waiting(Queue.DAILY_SIZING) == 0


# Rows that follow a ledger item which is gone were billed again.


def test_rows_of_a_lost_ledger_are_not_billed_again(scenario: Scenario) -> None:
    body = a_month(scenario)
    assert isinstance(scenario.handle(body), Done)
    dynamodb = scenario.stack.clients.dynamodb
    dynamodb.delete_item(
        TableName=scenario.stack.table("billing-ledger"),
        Key={"fact": {"S": "storage-usage#cus_A#2026-10"}},
    )
    dynamodb.delete_item(
        TableName=scenario.stack.table("storage-usage-monthly"),
        Key={"customerId": {"S": "cus_A"}, "billingMonth": {"S": "2026-10"}},
    )
    scenario.wall.advance(timedelta(days=2))

    outcome = scenario.handle(body)

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "BilledElsewhere"
    assert len(scenario.counted()) == 1


# One malformed record of a notification took the others with it to the dead letters.


def test_one_bad_record_does_not_hold_back_the_others(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.upload("service/input/cus_A/run-1/in.bin", 7)
    good = {
        "eventName": "s3:ObjectCreated:Put",
        "eventTime": "2026-11-01T00:00:00Z",
        "s3": {
            "bucket": {"name": scenario.stack.bucket},
            "object": {"key": "service/output/cus_A/run-1/out+1.bin"},
        },
    }
    body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put"}, good]})

    outcome = scenario.handle(body, queue=Queue.FILE_PROCESSED)
    scenario.drain(Queue.FILE_PROCESSED)

    assert isinstance(outcome, DeadLetter)
    assert "Records.0" in outcome.reason
    assert [event.identifier for event in scenario.counted()] == ["run-1"]


# A run that was made anew went past SEND=shadow, and one whose row was gone was billed.


def test_a_failed_run_that_completes_in_shadow_stays_the_other_systems(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A", "failed")
    body = a_run(scenario)
    shadow = scenario.installation(send="shadow")
    assert isinstance(scenario.handle(body, worker=shadow), Done)
    scenario.run_row("run-1", "cus_A", "completed")

    assert isinstance(scenario.handle(body, worker=shadow), Done)
    assert isinstance(scenario.handle(body), Done)

    assert scenario.counted() == ()
    fact = scenario.fact("file_processed#run-1")
    assert fact is not None
    assert (fact["state"], fact["value"]) == ("skipped", 7)


def test_a_failed_run_whose_row_is_gone_stays_skipped(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A", "failed")
    body = a_run(scenario)
    assert isinstance(scenario.handle(body), Done)
    scenario.stack.clients.dynamodb.delete_item(
        TableName=scenario.stack.table("processing-history"),
        Key={"processing-historyId": {"S": "run-1"}},
    )

    assert isinstance(scenario.handle(body), Done)

    assert scenario.counted() == ()
