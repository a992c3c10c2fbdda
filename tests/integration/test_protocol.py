"""The ledger's later life: confirmation, decisions by summaries, late refusals, resends, modes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import (
    AcceptThen500,
    AcceptThenReset,
    Drop,
    LateAccept,
    Match,
    Outage,
    Rule,
    Seed,
    SeedSubscription,
    Status,
)
from producers.billing_month import BillingMonth
from producers.queues import Queue
from tests.integration.scenario import bill_body, file_body
from worker.ledger.item import State
from worker.outcome import DeadLetter, Done, Outcome
from worker.reconciliation.period import Period
from worker.resending import NotResent
from worker.stripe_api.connection import StripeConnection

if TYPE_CHECKING:
    from tests.integration.scenario import Scenario
    from worker.ledger.fact import StripeAccount
    from worker.ledger.item import LedgerItem
    from worker.operator_installation import OperatorInstallation

OCTOBER = "storage-usage#cus_A#2026-10"
HOUR = timedelta(hours=1)
EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")


def is_done(outcome: Outcome) -> bool:
    return isinstance(outcome, Done)


def a_month(scenario: Scenario, customer: str = "cus_A") -> str:
    scenario.customers(customer)
    scenario.month(customer, "2026-10", [3_000_000] * 31)
    return bill_body(customer)


def a_run(scenario: Scenario, run: str, size: int, at: datetime) -> str:
    scenario.upload(f"service/input/cus_A/{run}/in.bin", size)
    return file_body(scenario.stack.bucket, f"service/output/cus_A/{run}/out.bin", at)


def state_of(scenario: Scenario, key: str) -> State:
    return standing(scenario, key).state


def standing(scenario: Scenario, key: str) -> LedgerItem:
    item = scenario.worker.ledger.find(key)
    assert item is not None
    return item


def resolve(scenario: Scenario, worker: OperatorInstallation | None = None) -> list[Outcome]:
    """One hourly tick, and whatever it puts on the queues."""
    made = worker or scenario.worker
    made.jobs().resolve(due_by=scenario.wall())
    outcomes = [
        scenario.handle(body, queue=queue, worker=made)
        for queue in (Queue.MONTHLY_BILLING, Queue.FILE_PROCESSED, Queue.STRIPE_EVENTS)
        for body in scenario.bodies(queue)
    ]
    for outcome in outcomes:
        if isinstance(outcome, DeadLetter):
            outcome.when_kept()
    return outcomes


# --- Confirmation -----------------------------------------------------------------------------


def test_a_sent_fact_is_confirmed_by_the_next_tick_and_leaves_the_open_index(
    scenario: Scenario,
) -> None:
    assert is_done(scenario.handle(a_month(scenario)))
    assert state_of(scenario, OCTOBER) is State.SENT

    scenario.wall.advance(HOUR)
    assert resolve(scenario) == []

    assert state_of(scenario, OCTOBER) is State.CONFIRMED
    assert list(scenario.worker.ledger.waiting(None)) == []


@pytest.mark.parametrize("by", ["resolve", "reconcile"])
def test_rows_that_nobody_is_left_to_mark_follow_before_the_fact_is_closed(
    scenario: Scenario, by: str
) -> None:
    # Given a worker that sent for a message that was gone, and died before the rows
    assert is_done(scenario.handle(a_month(scenario)))
    scenario.month("cus_A", "2026-10", [3_000_000] * 31)
    key = {"customerId": {"S": "cus_A"}, "billingMonth": {"S": "2026-10"}}
    table = scenario.worker.tables.monthly
    scenario.worker.clients.dynamodb.delete_item(TableName=table, Key=key)

    scenario.wall.advance(HOUR)
    if by == "reconcile":
        month = BillingMonth(2026, 10)
        list(scenario.worker.reconciliation.compare(Period.of(month, scenario.wall()), ["cus_A"]))
    resolve(scenario)
    assert state_of(scenario, OCTOBER) is State.SENT
    scenario.wall.advance(HOUR)
    resolve(scenario)

    assert state_of(scenario, OCTOBER) is State.CONFIRMED
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert row["billingStatus"] == "billed"
    assert {day["billingStatus"] for day in scenario.days_of("cus_A")} == {"billed"}
    assert len(scenario.counted()) == 1


def test_an_error_that_stands_on_a_run_that_counts_is_taken_away(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A")
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=AcceptThen500()))
    body = a_run(scenario, "run-1", 10, datetime(2026, 11, 1, tzinfo=UTC))
    scenario.handle(body)
    noted = scenario.run_of("run-1")
    assert noted is not None
    assert "stripeMeterError" in noted
    scenario.wall.advance(timedelta(minutes=10))
    assert is_done(scenario.handle(body))
    scenario.put("processing-history", {**noted, "ledgerFence": 1})

    for _ in range(2):
        scenario.wall.advance(HOUR)
        resolve(scenario)

    assert state_of(scenario, "file_processed#run-1") is State.CONFIRMED
    row = scenario.run_of("run-1")
    assert row is not None
    assert "stripeMeterError" not in row


def test_a_day_of_runs_is_confirmed_by_one_question(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    for number in range(5):
        at = datetime(2026, 11, 1, 0, 1, number * 7, tzinfo=UTC)
        assert is_done(scenario.handle(a_run(scenario, f"run-{number}", 10 + number, at)))
    scenario.wall.advance(HOUR)

    resolve(scenario)

    assert {state_of(scenario, f"file_processed#run-{n}") for n in range(5)} == {State.CONFIRMED}
    asked = [seen for seen in scenario.simulator.requests() if "event_summaries" in seen.path]
    assert len(asked) == 1


def test_an_unconfirmed_fact_is_asked_about_until_a_person_has_to(scenario: Scenario) -> None:
    assert is_done(scenario.handle(a_month(scenario)))
    scenario.simulator.change_settings(summary_delay_seconds=60 * 60 * 24 * 10)

    outcomes: list[Outcome] = []
    for _ in range(50):
        scenario.wall.advance(HOUR)
        outcomes += resolve(scenario)

    assert state_of(scenario, OCTOBER) is State.MANUAL
    assert [type(outcome) for outcome in outcomes] == [DeadLetter]
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert row["billingStatus"] == "billed"
    assert "48 hours" in str(row["notes"])
    assert len(scenario.counted()) == 1


def test_a_duplicate_that_was_not_ours_does_not_pass_for_billed(scenario: Scenario) -> None:
    # Given an event under our identifier, of another value, from elsewhere
    body = a_month(scenario)
    client = scenario.worker.stripe.keyed_client().client
    client.v1.billing.meter_events.create(
        {
            "event_name": "storage-usage",
            "identifier": "storage-usage:cus_A:2026-10",
            "timestamp": int(datetime(2026, 10, 31, 23, 59, tzinfo=UTC).timestamp()),
            "payload": {"stripe_customer_id": "cus_A", "value": "1"},
        }
    )

    # When the month is billed, Stripe answers that it has it already
    assert is_done(scenario.handle(body))
    assert state_of(scenario, OCTOBER) is State.SENT
    for _ in range(50):
        scenario.wall.advance(HOUR)
        resolve(scenario)

    # Then the summaries never agree, and a person is asked
    assert state_of(scenario, OCTOBER) is State.MANUAL


# --- A fate that is open ----------------------------------------------------------------------


@pytest.mark.parametrize("fault", [AcceptThen500(), AcceptThenReset()])
def test_what_stripe_took_in_silence_is_found_by_the_summaries(
    scenario: Scenario, fault: AcceptThen500 | AcceptThenReset
) -> None:
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=fault))
    scenario.handle(body)
    assert state_of(scenario, OCTOBER) is State.UNKNOWN

    # Nobody asks for a day: the identifier is forgotten
    scenario.wall.advance(timedelta(hours=25))
    outcomes = resolve(scenario)

    assert outcomes == [Done("sent")]
    assert state_of(scenario, OCTOBER) is State.SENT
    assert len(scenario.counted()) == 1
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert row["billingStatus"] == "billed"
    assert {day["billingStatus"] for day in scenario.days_of("cus_A")} == {"billed"}


def test_what_stripe_never_took_is_a_persons_after_two_days_and_never_sent_by_the_machine(
    scenario: Scenario,
) -> None:
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Drop()))
    scenario.handle(body)

    outcomes: list[Outcome] = []
    scenario.wall.advance(timedelta(hours=24))
    for _ in range(30):
        outcomes += resolve(scenario)
        scenario.wall.advance(HOUR)

    assert state_of(scenario, OCTOBER) is State.MANUAL
    assert isinstance(outcomes[-1], DeadLetter)
    assert scenario.counted() == ()


def test_within_the_day_an_open_fate_is_settled_by_sending_again(scenario: Scenario) -> None:
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=LateAccept(seconds=20 * 60)))
    scenario.handle(body)
    scenario.wall.advance(timedelta(hours=22))

    assert resolve(scenario) == [Done("sent")]
    assert len(scenario.counted()) == 1


def test_a_decision_waits_while_the_summaries_cannot_be_had(scenario: Scenario) -> None:
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=AcceptThen500()))
    scenario.handle(body)
    scenario.wall.advance(timedelta(hours=25))
    scenario.simulator.add_faults(Rule(fault=Outage(status=503), times=None))

    outcome = scenario.handle(body, receipts=12)

    assert isinstance(outcome, Done)
    assert state_of(scenario, OCTOBER) is State.UNKNOWN
    scenario.simulator.clear_faults()
    assert is_done(scenario.handle(body))
    assert state_of(scenario, OCTOBER) is State.SENT


# --- Late refusals ----------------------------------------------------------------------------


def test_a_late_refusal_moves_the_fact_and_its_rows(scenario: Scenario) -> None:
    body = a_month(scenario)
    assert is_done(scenario.handle(body))
    scenario.simulator.refuse("storage-usage:cus_A:2026-10", code="archived_meter")
    scenario.wall.advance(HOUR)

    scenario.worker.jobs().resolve(due_by=scenario.wall())
    scenario.drain(Queue.STRIPE_EVENTS, Queue.MONTHLY_BILLING)

    assert state_of(scenario, OCTOBER) is State.REFUSED
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert (row["billingStatus"], row["stripeMeterStatus"]) == ("failed", "failed")
    assert "archived_meter" in str(row["notes"])
    assert {day["billingStatus"] for day in scenario.days_of("cus_A")} == {"failed"}
    (letter,) = scenario.letters(Queue.MONTHLY_BILLING)
    assert letter.error_type == "Refused"


def test_a_report_that_comes_twice_changes_nothing(scenario: Scenario) -> None:
    assert is_done(scenario.handle(a_month(scenario)))
    scenario.simulator.refuse("storage-usage:cus_A:2026-10")
    scenario.wall.advance(HOUR)
    scenario.worker.jobs().resolve(due_by=scenario.wall())
    (report,) = scenario.bodies(Queue.STRIPE_EVENTS)

    assert is_done(scenario.handle(report, queue=Queue.STRIPE_EVENTS))
    once = standing(scenario, OCTOBER)
    assert is_done(scenario.handle(report, queue=Queue.STRIPE_EVENTS))

    assert once.state is State.REFUSED
    assert standing(scenario, OCTOBER) == once


def test_a_report_before_the_answer_was_written_stands(scenario: Scenario) -> None:
    # Given a call whose answer the worker never saw
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=AcceptThen500()))
    scenario.handle(body)
    scenario.simulator.refuse("storage-usage:cus_A:2026-10")
    scenario.wall.advance(HOUR)
    scenario.worker.jobs().resolve(due_by=scenario.wall() - timedelta(days=1))
    (report,) = scenario.bodies(Queue.STRIPE_EVENTS)

    # When the report comes first, the message after it
    assert is_done(scenario.handle(report, queue=Queue.STRIPE_EVENTS))
    outcome = scenario.handle(body)

    # Then nothing is sent again, and it rings
    assert isinstance(outcome, DeadLetter)
    assert state_of(scenario, OCTOBER) is State.REFUSED


def test_a_report_of_what_was_never_ours_is_dead_lettered_after_the_others(
    scenario: Scenario,
) -> None:
    assert is_done(scenario.handle(a_month(scenario)))
    client = scenario.worker.stripe.keyed_client().client
    client.v1.billing.meter_events.create(
        {
            "event_name": "storage-usage",
            "identifier": "somebody-elses",
            "payload": {"stripe_customer_id": "cus_nobody", "value": "1"},
        }
    )
    scenario.simulator.refuse("storage-usage:cus_A:2026-10")
    scenario.wall.advance(HOUR)
    scenario.worker.jobs().resolve(due_by=scenario.wall())

    outcomes = [
        scenario.handle(body, queue=Queue.STRIPE_EVENTS)
        for body in scenario.bodies(Queue.STRIPE_EVENTS)
    ]

    letters = [outcome for outcome in outcomes if isinstance(outcome, DeadLetter)]
    assert [letter.error_type for letter in letters] == ["UnmatchedRefusal"]
    assert "somebody-elses" in letters[0].reason
    assert state_of(scenario, OCTOBER) is State.REFUSED


def test_stripes_eventbridge_envelope_is_the_same_report(scenario: Scenario) -> None:
    assert is_done(scenario.handle(a_month(scenario)))
    scenario.simulator.refuse("storage-usage:cus_A:2026-10")
    scenario.wall.advance(HOUR)
    (report,) = list(scenario.worker.error_reports.since(scenario.wall() - 2 * HOUR))
    envelope = (
        '{"source":"aws.partner/stripe.com/ed_test","detail-type":'
        f'"v1.billing.meter.error_report_triggered","detail":{{"id":"{report.id}"}}}}'
    )

    assert is_done(scenario.handle(envelope, queue=Queue.STRIPE_EVENTS))
    assert is_done(
        scenario.handle(
            envelope.replace("meter.error_report_triggered", "alert.triggered"),
            queue=Queue.STRIPE_EVENTS,
        )
    )

    assert state_of(scenario, OCTOBER) is State.REFUSED


# --- Resend -----------------------------------------------------------------------------------


def test_a_rejected_fact_is_sent_anew_under_the_next_identifier(scenario: Scenario) -> None:
    scenario.month("cus_A", "2026-10", [3_000_000] * 31)
    assert is_done(scenario.handle(bill_body("cus_A")))
    scenario.wall.advance(HOUR)
    scenario.worker.jobs().resolve(due_by=scenario.wall())
    scenario.drain(Queue.STRIPE_EVENTS, Queue.MONTHLY_BILLING)
    assert state_of(scenario, OCTOBER) is State.REFUSED
    resending = scenario.worker.resending

    with pytest.raises(NotResent, match="knows no customer"):
        resending.check(OCTOBER, 1)
    scenario.customers("cus_A")
    with pytest.raises(NotResent, match="generation 1 by now, not 2"):
        resending.check(OCTOBER, 2)
    resending.resend(resending.check(OCTOBER, 1))
    scenario.drain(Queue.MONTHLY_BILLING)

    item = standing(scenario, OCTOBER)
    assert (item.state, item.generation) == (State.SENT, 2)
    (event,) = scenario.simulator.truth("cus_A").counted
    assert event.identifier == "storage-usage:cus_A:2026-10:g2"
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert (row["billingStatus"], row["stripeMeterEventId"]) == ("billed", event.identifier)
    assert {day["stripeMeterEventId"] for day in scenario.days_of("cus_A")} == {event.identifier}


def test_a_report_of_the_older_generation_does_not_touch_the_next(scenario: Scenario) -> None:
    test_a_rejected_fact_is_sent_anew_under_the_next_identifier(scenario)
    scenario.worker.cursors.move("error-reports", scenario.wall() - timedelta(days=2))

    resolve(scenario)

    assert state_of(scenario, OCTOBER) is State.SENT


def test_what_stripe_shows_cannot_be_sent_anew(scenario: Scenario) -> None:
    # Given a fact that became a person's while the summaries lagged
    assert is_done(scenario.handle(a_month(scenario)))
    scenario.simulator.change_settings(summary_delay_seconds=60 * 60 * 24 * 10)
    scenario.wall.advance(timedelta(hours=49))
    resolve(scenario)
    assert state_of(scenario, OCTOBER) is State.MANUAL

    scenario.simulator.change_settings(summary_delay_seconds=0)
    with pytest.raises(NotResent, match="it is billed"):
        scenario.worker.resending.check(OCTOBER, 1)
    assert len(scenario.counted()) == 1


def test_a_fact_whose_fate_is_open_cannot_be_sent_anew(scenario: Scenario) -> None:
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=LateAccept(seconds=20 * 60)))
    scenario.handle(body)

    with pytest.raises(NotResent, match="only rejected, refused and manual"):
        scenario.worker.resending.check(OCTOBER, 1)


# --- Modes ------------------------------------------------------------------------------------


def test_shadow_records_everything_and_sends_nothing(scenario: Scenario) -> None:
    body = a_month(scenario)
    shadow = scenario.installation(send="shadow")

    assert is_done(scenario.handle(body, worker=shadow))

    item = standing(scenario, OCTOBER)
    assert (item.state, item.fact.value) == (State.SKIPPED, 3_000_000)
    assert scenario.counted() == ()
    assert {day["billingStatus"] for day in scenario.days_of("cus_A")} == {"pending"}
    # Switched on later, the month stays the other system's
    assert is_done(scenario.handle(body))
    assert scenario.counted() == ()


def test_shadow_leaves_a_fact_that_was_planned_before_it_for_later(scenario: Scenario) -> None:
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=429), times=1))
    scenario.handle(body)
    assert state_of(scenario, OCTOBER) is State.PLANNED

    outcome = scenario.handle(body, worker=scenario.installation(send="shadow"))

    assert isinstance(outcome, Done)
    assert scenario.counted() == ()
    assert is_done(scenario.handle(body))
    assert len(scenario.counted()) == 1


def test_verify_finds_what_a_restored_ledger_forgot(scenario: Scenario) -> None:
    body = a_month(scenario)
    assert is_done(scenario.handle(body))
    scenario.wall.advance(timedelta(days=2))
    dynamodb = scenario.stack.clients.dynamodb
    dynamodb.delete_item(
        TableName=scenario.stack.table("billing-ledger"), Key={"fact": {"S": OCTOBER}}
    )
    dynamodb.delete_item(
        TableName=scenario.stack.table("storage-usage-monthly"),
        Key={"customerId": {"S": "cus_A"}, "billingMonth": {"S": "2026-10"}},
    )

    assert is_done(scenario.handle(body, worker=scenario.installation(send="verify")))

    assert state_of(scenario, OCTOBER) is State.SENT
    assert len(scenario.counted()) == 1


def test_verify_sends_what_stripe_does_not_have(scenario: Scenario) -> None:
    body = a_month(scenario)

    assert is_done(scenario.handle(body, worker=scenario.installation(send="verify")))

    assert len(scenario.counted()) == 1


def test_verify_leaves_what_it_cannot_explain_to_a_person(scenario: Scenario) -> None:
    body = a_month(scenario)
    scenario.worker.stripe.keyed_client().client.v1.billing.meter_events.create(
        {
            "event_name": "storage-usage",
            "identifier": "by-hand",
            "timestamp": int(datetime(2026, 10, 31, 23, 59, 30, tzinfo=UTC).timestamp()),
            "payload": {"stripe_customer_id": "cus_A", "value": "17"},
        }
    )

    verifying = scenario.installation(send="verify")
    assert is_done(scenario.handle(body, worker=verifying))
    assert state_of(scenario, OCTOBER) is State.PLANNED
    scenario.wall.advance(timedelta(hours=30))
    outcome = scenario.handle(body, worker=verifying)

    assert isinstance(outcome, DeadLetter)
    assert state_of(scenario, OCTOBER) is State.MANUAL


def test_verify_finds_a_run_that_is_frozen_anew_in_another_minute(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    first = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
    assert is_done(scenario.handle(a_run(scenario, "run-1", 10, first)))
    scenario.wall.advance(timedelta(days=3))
    scenario.stack.clients.dynamodb.delete_item(
        TableName=scenario.stack.table("billing-ledger"),
        Key={"fact": {"S": "file_processed#run-1"}},
    )
    verifying = scenario.installation(send="verify")

    # Another output of the run asks for it, and a run that was never sent stands beside it
    again = a_run(scenario, "run-1", 10, first + 5 * HOUR)
    fresh = a_run(scenario, "run-2", 25, first + 6 * HOUR)
    assert is_done(scenario.handle(fresh, worker=verifying))
    assert is_done(scenario.handle(again, worker=verifying))
    scenario.wall.advance(HOUR)
    resolve(scenario, worker=verifying)

    assert state_of(scenario, "file_processed#run-1") is State.CONFIRMED
    assert state_of(scenario, "file_processed#run-2").name in {"SENT", "CONFIRMED"}
    assert sorted(event.identifier for event in scenario.counted()) == ["run-1", "run-2"]
    assert all(event.offers == 1 for event in scenario.counted())


def test_facts_before_bill_from_are_skipped_with_the_reason(scenario: Scenario) -> None:
    body = a_month(scenario)
    worker = scenario.installation(bill_from=datetime(2026, 11, 1, tzinfo=UTC))

    assert is_done(scenario.handle(body, worker=worker))

    item = standing(scenario, OCTOBER)
    assert item.state is State.SKIPPED
    assert "BILL_FROM 2026-11-01" in str(item.last_error)
    assert scenario.counted() == ()


# --- Expected facts ---------------------------------------------------------------------------


def test_a_month_that_nobody_asked_to_bill_is_reported(scenario: Scenario) -> None:
    a_month(scenario)
    billed = a_month(scenario, "cus_B")
    assert is_done(scenario.handle(billed))
    jobs = scenario.worker.jobs()

    assert jobs.resolve(due_by=scenario.wall()).missing == 0  # not due yet, five past midnight
    scenario.wall.advance(timedelta(hours=5))
    assert jobs.resolve(due_by=scenario.wall()).missing == 1
    assert is_done(scenario.handle(bill_body("cus_A")))
    assert jobs.resolve(due_by=scenario.wall()).missing == 0


# --- The invoice ------------------------------------------------------------------------------


def subscribed(scenario: Scenario) -> str:
    body = a_month(scenario)
    scenario.simulator.seed(
        Seed(
            subscriptions=(
                SeedSubscription(customer="cus_A", started=datetime(2026, 10, 1, tzinfo=UTC)),
            )
        )
    )
    return body


def test_what_would_come_after_a_final_invoice_is_not_sent(scenario: Scenario) -> None:
    body = subscribed(scenario)
    scenario.wall.set(datetime(2026, 11, 1, 2, 0, tzinfo=UTC))

    outcome = scenario.handle(body)

    assert isinstance(outcome, DeadLetter)
    assert "is final" in outcome.reason
    assert state_of(scenario, OCTOBER) is State.MANUAL
    assert scenario.counted() == ()


def test_within_the_grace_period_it_is_sent_and_invoiced(scenario: Scenario) -> None:
    scenario.simulator.change_settings(grace_hours=72)
    body = subscribed(scenario)
    scenario.wall.set(datetime(2026, 11, 1, 2, 0, tzinfo=UTC))

    assert is_done(scenario.handle(body))

    (event,) = scenario.counted()
    assert len(event.invoices) == 1


def test_a_key_that_may_not_read_invoices_holds_nothing_back(scenario: Scenario) -> None:
    body = subscribed(scenario)
    scenario.wall.set(datetime(2026, 11, 1, 2, 0, tzinfo=UTC))
    scenario.simulator.add_faults(
        Rule(match=Match(path_prefix="/v1/invoices"), fault=Status(status=403), times=None)
    )

    assert is_done(scenario.handle(body))

    assert len(scenario.simulator.truth("cus_A").counted) == 1


# --- Time that passes between a decision and the call -----------------------------------------


def test_an_hour_lost_before_the_claim_does_not_send_after_the_window(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an open fate of 22 and a half hours
    body = a_month(scenario)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=AcceptThen500()))
    scenario.handle(body)
    scenario.wall.advance(timedelta(hours=22, minutes=30))

    # When the worker stands still for an hour while it asks whose key it has
    ask = StripeConnection.account

    def slow_account(connection: StripeConnection) -> StripeAccount:
        scenario.wall.advance(HOUR)
        return ask(connection)

    monkeypatch.setattr(StripeConnection, "account", slow_account)
    scenario.handle(body, worker=scenario.installation())

    # Then nothing is sent on the decision of an hour ago
    assert state_of(scenario, OCTOBER) is State.UNKNOWN
    assert [event.offers for event in scenario.counted()] == [1]
