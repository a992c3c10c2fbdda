"""Processing runs: billed once each, for what lies in S3, whatever messages come."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import AcceptThenReset, Match, Rule, Status
from producers.messages import Tick
from producers.queues import Queue
from tests.integration.scenario import (
    Calls,
    Crash,
    Scenario,
    close_clients,
    counted_clients,
    file_body,
)
from worker.outcome import DeadLetter, Done, Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stripe_simulator import SettableClock
    from worker.outcome import Outcome

EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")
AT = datetime(2026, 10, 31, 12, tzinfo=UTC)
OUTPUT = "service/output/cus_A/run-1/out.csv"
KEY = "file_processed#run-1"


@pytest.fixture
def planted(scenario: Scenario) -> Scenario:
    """A customer with a completed run of 100 bytes."""
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A", usageAmountBytes=7)
    scenario.upload("service/input/cus_A/run-1/a b+ü.bin", 60)
    scenario.upload("service/input/cus_A/run-1/deep/er.bin", 40)
    return scenario


def tell(scenario: Scenario, key: str = OUTPUT, *, receipts: int = 1, waited: int = 0) -> Outcome:
    """Hand over the message of an output; `waited` seconds since its first receipt."""
    return scenario.handle(
        file_body(scenario.stack.bucket, key, AT),
        queue=Queue.FILE_PROCESSED,
        receipts=receipts,
        first_received_at=scenario.wall() - timedelta(seconds=waited),
    )


def envelope(bucket: str, key: str, detail_type: str = "Object Created") -> str:
    return json.dumps(
        {
            "version": "0",
            "detail-type": detail_type,
            "source": "aws.s3",
            "account": "000000000000",
            "time": "2026-10-31T12:00:00Z",
            "region": "ap-northeast-1",
            "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": 5}},
        }
    )


def notification(bucket: str, *keys: str, event: str = "ObjectCreated:Put") -> str:
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "eventName": event,
                    "eventTime": "2026-10-31T12:00:00.000Z",
                    "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 5}},
                }
                for key in keys
            ]
        }
    )


def billed(scenario: Scenario) -> dict[str, str]:
    """Value by identifier of all that Stripe took."""
    events = scenario.counted()
    found = {event.identifier: event.value for event in events}
    assert len(found) == len(events)
    return found


# --- S3's shapes ------------------------------------------------------------------------------


def test_eventbridges_envelope_bills_the_run_at_its_time(planted: Scenario) -> None:
    outcome = planted.handle(envelope(planted.stack.bucket, OUTPUT), queue=Queue.FILE_PROCESSED)

    assert isinstance(outcome, Done)
    (event,) = planted.counted("cus_A")
    assert (event.identifier, event.value) == ("run-1", "100")
    assert event.timestamp == AT.timestamp()
    assert event.event_name == "file_processed"


def test_a_notification_of_several_records_bills_each_run(planted: Scenario) -> None:
    planted.run_row("run-2", "cus_A")
    planted.upload("service/input/cus_A/run-2/x", 9)
    body = notification(
        planted.stack.bucket,
        "service/output/cus_A/run-1/r%C3%A9sultat+final%2B1.csv",
        "service%2Foutput/cus_A/run-2/out.csv",
        "service/output/cus_A/run-2/_trigger.json",
    )
    planted.send(Queue.FILE_PROCESSED, body)

    planted.drain(Queue.FILE_PROCESSED)

    assert billed(planted) == {"run-1": "100", "run-2": "9"}
    assert planted.letters(Queue.FILE_PROCESSED) == []


@pytest.mark.parametrize(
    "body",
    [
        '{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-10-31T12:00:00.000Z"}',
        notification("siftbeam", OUTPUT, event="ObjectRemoved:Delete"),
        envelope("siftbeam", OUTPUT, "Object Deleted"),
        '{"Records": []}',
    ],
    ids=["test event", "removed", "deleted", "nothing"],
)
def test_an_event_that_creates_nothing_is_done_with(planted: Scenario, body: str) -> None:
    assert isinstance(planted.handle(body, queue=Queue.FILE_PROCESSED), Done)
    assert planted.rows("billing-ledger") == []


@pytest.mark.parametrize(
    "key",
    [
        "service/output/cus_A/run-1/_trigger.json",
        "service/output/cus_A/run-1/deep/_trigger.json",
        "service/output/cus_A/run-1/",
        "service/output/cus_A/run-1/deep/",
        "service/output/cus_A/loose.csv",
        "service/output/",
        "service/input/cus_A/run-1/a.bin",
        "logs/cus_A/run-1/out.csv",
        "service/outputs/cus_A/run-1/out.csv",
    ],
)
def test_noise_is_ignored(planted: Scenario, key: str) -> None:
    assert isinstance(tell(planted, key), Done)
    assert planted.rows("billing-ledger") == []


def test_another_buckets_event_is_ignored(planted: Scenario) -> None:
    body = file_body("someone-elses", OUTPUT, AT)
    assert isinstance(planted.handle(body, queue=Queue.FILE_PROCESSED), Done)
    assert planted.rows("billing-ledger") == []


# --- Once -------------------------------------------------------------------------------------


def test_outputs_duplicates_and_orders_make_one_event(planted: Scenario) -> None:
    outputs = [f"service/output/cus_A/run-1/{name}" for name in ("a.csv", "b.csv", "c.csv")]
    for key in itertools.chain(*itertools.permutations(outputs)):
        assert isinstance(tell(planted, key), Done)

    assert billed(planted) == {"run-1": "100"}
    assert planted.counted()[0].offers == 1


def test_the_first_events_time_stands_but_never_the_future(
    planted: Scenario, wall: SettableClock
) -> None:
    wall.set(AT - timedelta(minutes=3, microseconds=-7))

    tell(planted)

    assert planted.counted()[0].timestamp == (AT - timedelta(minutes=3)).timestamp()


# --- Bytes ------------------------------------------------------------------------------------


def test_only_files_of_the_runs_input_count(planted: Scenario) -> None:
    planted.upload("service/input/cus_A/run-1/_trigger.json", 1_000)
    planted.upload("service/input/cus_A/run-1/deep/_trigger.json", 1_000)
    planted.upload("service/input/cus_A/run-1/folder/", 0)
    planted.upload("service/input/cus_A/run-10/b.bin", 1_000)
    planted.upload("service/input/cus_AB/run-1/b.bin", 1_000)
    planted.upload("service/output/cus_A/run-1/out.csv", 1_000)

    tell(planted)

    assert billed(planted) == {"run-1": "100"}


def test_what_is_gone_from_s3_is_billed_as_the_history_says(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A", usageAmountBytes=4_321)
    scenario.upload("service/input/cus_A/run-1/_trigger.json", 5)

    tell(scenario)

    assert billed(scenario) == {"run-1": "4321"}


def test_an_empty_file_is_nothing_to_pay_and_no_gap(scenario: Scenario) -> None:
    scenario.run_row("run-1", "cus_A", usageAmountBytes=4_321)
    scenario.upload("service/input/cus_A/run-1/empty", 0)

    assert isinstance(tell(scenario), Done)

    assert billed(scenario) == {}
    fact = scenario.fact(KEY)
    assert fact is not None
    assert (fact["state"], fact["value"]) == ("confirmed", 0)


@pytest.mark.parametrize("row", [True, False])
def test_a_run_without_any_bytes_known_is_dead_lettered(
    scenario: Scenario,
    row: bool,  # noqa: FBT001 - a parameter of the case
) -> None:
    if row:
        scenario.run_row("run-1", "cus_A")

    outcome = tell(scenario)

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "NothingToBill"
    assert "service/input/cus_A/run-1/" in outcome.reason
    assert scenario.fact(KEY) is None


# --- The run's row decides --------------------------------------------------------------------


@pytest.mark.parametrize("status", ["completed", "success"])
def test_a_completed_run_is_billed_and_its_row_left_alone(planted: Scenario, status: str) -> None:
    planted.run_row("run-1", "cus_A", status, uploadedFileKeys="theirs", usageAmountBytes=7)
    before = planted.run_of("run-1")

    assert isinstance(tell(planted), Done)

    assert billed(planted) == {"run-1": "100"}
    assert planted.run_of("run-1") == before


@pytest.mark.parametrize("status", ["failed", "canceled", "cancelled"])
def test_a_run_that_did_not_complete_is_skipped_and_says_so(planted: Scenario, status: str) -> None:
    planted.run_row("run-1", "cus_A", status)

    assert isinstance(tell(planted), Done)

    fact = planted.fact(KEY)
    assert fact is not None
    assert fact["state"] == "skipped"
    assert status in str(fact["lastError"])
    assert billed(planted) == {}


def test_a_run_without_a_row_is_billed_and_gets_none(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.upload("service/input/cus_A/run-1/a", 100)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=429)))

    assert isinstance(tell(scenario), Retry)
    scenario.wall.advance(timedelta(minutes=1))
    assert isinstance(tell(scenario), Done)

    assert billed(scenario) == {"run-1": "100"}
    assert scenario.run_of("run-1") is None


def test_a_run_in_progress_is_waited_for(planted: Scenario) -> None:
    planted.run_row("run-1", "cus_A", "in_progress")

    pauses = []
    for waited in (0, 60, 120, 240, 40_000):
        outcome = tell(planted, waited=waited)
        assert isinstance(outcome, Retry)
        assert not outcome.limited
        assert "in_progress" in outcome.reason
        pauses.append(outcome.after)
    assert pauses == [60, 60, 120, 240, 3_600]
    assert planted.fact(KEY) is None
    planted.run_row("run-1", "cus_A", "completed")
    assert isinstance(tell(planted, waited=41_000), Done)
    assert billed(planted) == {"run-1": "100"}


def test_a_run_is_waited_for_a_day_whatever_its_receipts(planted: Scenario) -> None:
    planted.run_row("run-1", "cus_A", "in_progress")

    for receipts in (1, 12, 19):
        outcome = tell(planted, receipts=receipts, waited=86_399)
        assert isinstance(outcome, Retry)
        assert not outcome.limited

    outcome = tell(planted, receipts=2, waited=86_400)
    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "StillInProgress"
    assert "in_progress" in outcome.reason


@pytest.mark.parametrize("known_by", ["history", "ledger"])
def test_another_customers_run_is_dead_lettered(planted: Scenario, known_by: str) -> None:
    if known_by == "ledger":
        tell(planted)
        planted.stack.clients.dynamodb.delete_item(
            TableName=planted.stack.table("processing-history"),
            Key={"processing-historyId": {"S": "run-1"}},
        )
    planted.upload("service/input/cus_B/run-1/x", 5)

    outcome = tell(planted, "service/output/cus_B/run-1/out.csv")

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "OtherCustomer"
    assert known_by in outcome.reason
    assert "cus_B" in outcome.reason
    assert planted.counted("cus_B") == ()


@pytest.mark.parametrize(
    "key",
    [
        f"service/output/cus_A/{'r' * 91}/out.csv",
        "service/output/cus_A/run 1/out.csv",
        "service/output/cus_A/run#1/out.csv",
        "service/output/cus_A/läuft/out.csv",
        "service/output/cus A/run-1/out.csv",
        f"service/output/{'c' * 65}/run-1/out.csv",
        "service/output//run-1/out.csv",
        "service/output/cus_A//out.csv",
    ],
)
def test_an_impossible_name_is_dead_lettered(planted: Scenario, key: str) -> None:
    outcome = tell(planted, key)

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "ImpossibleId"


def test_a_run_id_of_ninety_characters_is_billed(scenario: Scenario) -> None:
    run = "r" * 90
    scenario.customers("cus_A")
    scenario.upload(f"service/input/cus_A/{run}/x", 3)

    assert isinstance(tell(scenario, f"service/output/cus_A/{run}/out.csv"), Done)

    assert billed(scenario) == {run: "3"}


# --- What Stripe says, on the run's row -------------------------------------------------------


def test_an_event_too_old_for_stripe_is_noted_on_the_run(planted: Scenario) -> None:
    planted.run_row("run-1", "cus_A", uploadedFileKeys="theirs")
    before = planted.run_of("run-1")
    planted.wall.set(AT + timedelta(days=40))

    outcome = tell(planted)

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "Rejected"
    row = planted.run_of("run-1")
    assert row is not None
    assert before is not None
    assert str(row.pop("stripeMeterError")) in outcome.reason
    assert row.pop("ledgerFence")
    assert row == before


def test_a_later_success_removes_the_error(planted: Scenario) -> None:
    planted.simulator.add_faults(
        Rule(match=EVENTS, fault=AcceptThenReset()), Rule(match=EVENTS, fault=Status(status=503))
    )
    assert isinstance(tell(planted), Retry)
    row = planted.run_of("run-1")
    assert row is not None
    assert row["stripeMeterError"]
    planted.wall.advance(timedelta(minutes=1))
    assert isinstance(tell(planted), Retry)
    planted.wall.advance(timedelta(minutes=1))

    assert isinstance(tell(planted), Done)

    row = planted.run_of("run-1")
    assert row is not None
    assert "stripeMeterError" not in row
    assert row["status"] == "completed"
    assert billed(planted) == {"run-1": "100"}


# --- The sweep --------------------------------------------------------------------------------


def sweep(scenario: Scenario, at: datetime) -> list[str]:
    """Run the nightly tick; returns the runs that it enqueued."""
    tick = Tick.model_validate({"job": "sweep", "scheduledTime": at})
    assert isinstance(scenario.handle(tick.body(), queue=Queue.SCHEDULE), Done)
    bodies = scenario.bodies(Queue.FILE_PROCESSED)
    for body in bodies:
        scenario.finish(body)
    return sorted(json.loads(body)["key"].split("/")[3] for body in bodies)


def test_a_sweep_bills_the_completed_runs_that_have_no_fact(planted: Scenario) -> None:
    night = datetime(2026, 11, 1, 3, 30, tzinfo=UTC)
    planted.wall.set(night)
    inside, outside = night - timedelta(days=7), night - timedelta(days=7, milliseconds=1)
    planted.run_row("run-1", "cus_A", completedAt=AT.isoformat())
    tell(planted)
    for run, status, stamps in (
        ("at-the-edge", "success", {"completedAt": inside.isoformat()}),
        ("too-old", "completed", {"completedAt": outside.isoformat()}),
        ("by-seconds", "completed", {"createdAt": int(AT.timestamp())}),
        ("touched-lately", "completed", {"updatedAt": AT.isoformat()}),
        ("by-milliseconds", "completed", {"createdAt": int(AT.timestamp() * 1000)}),
        ("running", "in_progress", {"completedAt": AT.isoformat()}),
        ("failed", "failed", {"completedAt": AT.isoformat()}),
        ("odd name!", "completed", {"completedAt": AT.isoformat()}),
    ):
        planted.run_row(run, "cus_A", status, usageAmountBytes=11, **stamps)

    found = sweep(planted, night)

    assert found == ["at-the-edge", "by-milliseconds", "by-seconds"]
    assert billed(planted) == {"run-1": "100"} | dict.fromkeys(found, "11")
    assert {
        event.timestamp for event in planted.counted() if event.identifier.startswith("by-")
    } == {AT.timestamp()}
    assert sweep(planted, night) == []


def test_a_sweep_dates_a_run_by_its_objects_where_its_row_does_not(
    planted: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    # S3 stamps objects itself, by the machine's clock.
    planted.wall.set(datetime.now(UTC))
    planted.run_row("nowhere", "cus_A", usageAmountBytes=5)

    assert sweep(planted, planted.wall()) == ["run-1"]

    assert billed(planted) == {"run-1": "100"}
    assert "names no time" in "".join(capsys.readouterr())


def test_a_sweep_pages_through_the_history(scenario: Scenario) -> None:
    night = datetime(2026, 11, 1, 3, 30, tzinfo=UTC)
    scenario.wall.set(night)
    # More than one megabyte: more than one page of a scan.
    for number in range(8):
        scenario.run_row(
            f"run-{number}", "cus_A", completedAt=AT.isoformat(), ballast="x" * 300_000
        )

    tick = Tick.model_validate({"job": "sweep", "scheduledTime": night})
    assert isinstance(scenario.handle(tick.body(), queue=Queue.SCHEDULE), Done)

    assert len(set(scenario.bodies(Queue.FILE_PROCESSED))) == 8


# --- A crash at every call --------------------------------------------------------------------


@pytest.fixture
def calls(scenario: Scenario) -> Iterator[Calls]:
    made = Calls()
    scenario.crash_clients = counted_clients(scenario.stack, made)
    yield made
    close_clients(scenario.crash_clients)


@pytest.mark.parametrize("throttled", [False, True])
def test_a_crash_at_any_call_costs_and_loses_nothing(
    scenario: Scenario,
    calls: Calls,
    throttled: bool,  # noqa: FBT001 - a parameter of the case
) -> None:
    scenario.customers("cus_A")
    place, crashed = 0, True
    while crashed:
        for after in (False, True):
            run = f"run-{place}-{after:d}"
            scenario.run_row(run, "cus_A")
            scenario.upload(f"service/input/cus_A/{run}/x", 100)
            body = file_body(scenario.stack.bucket, f"service/output/cus_A/{run}/out", AT)
            if throttled:
                scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=429)))
            calls.arm(place, after=after)
            worker = scenario.installation(clients=scenario.crash_clients, calls=calls)
            try:
                scenario.handle(body, worker=worker, queue=Queue.FILE_PROCESSED)
                crashed = False
            except Crash:
                crashed = True
            where = calls.made[-1]
            scenario.wall.advance(timedelta(seconds=31))

            outcome = scenario.finish(body, worker=scenario.installation())

            assert isinstance(outcome, Done), (where, after, outcome)
            row = scenario.run_of(run)
            assert row is not None
            assert "stripeMeterError" not in row, (where, after)
            fact = scenario.fact(f"file_processed#{run}")
            assert fact is not None
            assert fact["state"] in {"sent", "confirmed"}, (where, after)
            assert fact["value"] == 100
            assert billed(scenario)[run] == "100"
        place += 1
    assert place > 7, calls.made
