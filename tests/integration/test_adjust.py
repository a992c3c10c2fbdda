"""Corrections, cancellations, and the last bill of a customer who leaves."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from infra.stripe_simulator import (
    AcceptThen500,
    Drop,
    Match,
    Outage,
    Rule,
    Seed,
    SeedSubscription,
    Status,
)
from producers.queues import Queue
from tests.integration.scenario import Crash, bill_body, file_body
from worker.adjusting import Decision, NotAdjusted
from worker.cli import app
from worker.commands import adjust as adjust_command
from worker.commands import enqueue as enqueue_command
from worker.ledger.item import State
from worker.ledger.rules import left_to_a_person
from worker.outcome import DeadLetter, Done
from worker.resending import NotResent
from worker.stripe_api.connection import StripeUnavailable

if TYPE_CHECKING:
    from tests.integration.scenario import Scenario
    from worker.adjusting import Adjusting
    from worker.ledger.item import LedgerItem

OCTOBER = "storage-usage#cus_A#2026-10"
RUN = "file_processed#run-1"
FIRST = f"correction#{OCTOBER}#1"
CANCELLED = "cancellation#storage-usage:cus_A:2026-10"
DECISION = Decision("ops@siftbeam.example", "a file was counted twice")
HOUR = timedelta(hours=1)
CANCEL = Match(method="POST", path_prefix="/v1/billing/meter_event_adjustments")
EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")


@pytest.fixture
def billed(scenario: Scenario) -> Adjusting:
    """October of one customer, billed with 3,000,000 bytes."""
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [3_000_000] * 31)
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    return scenario.worker.adjusting


def item_of(scenario: Scenario, key: str) -> LedgerItem:
    item = scenario.worker.ledger.find(key)
    assert item is not None
    return item


def held(scenario: Scenario) -> int:
    """The bytes that Stripe counts for the customer."""
    return sum(int(event.value) for event in scenario.simulator.truth("cus_A").counted)


def notes(scenario: Scenario) -> str:
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    return str(row.get("notes", ""))


def resolve(scenario: Scenario) -> None:
    scenario.worker.jobs().resolve(due_by=scenario.wall())
    scenario.drain(Queue.MONTHLY_BILLING, Queue.FILE_PROCESSED, Queue.STRIPE_EVENTS)


# --- Corrections --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1_000_000, 250])
def test_a_correction_is_billed_once_in_a_minute_of_its_own(
    scenario: Scenario, billed: Adjusting, value: int
) -> None:
    billed.begin(billed.correction(OCTOBER, value, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)

    assert held(scenario) == 3_000_000 + value
    (event,) = [one for one in scenario.counted("cus_A") if one.value == str(value)]
    assert event.identifier == "storage-usage:cus_A:2026-10:c1"
    assert event.timestamp == int(datetime(2026, 10, 31, 23, 58, tzinfo=UTC).timestamp())
    assert f"corrected by {value:+} bytes (sent, {DECISION.by}: {DECISION.why})" in notes(scenario)
    assert f"billed in all: {3_000_000 + value} bytes" in notes(scenario)

    scenario.wall.advance(HOUR)
    resolve(scenario)
    assert item_of(scenario, FIRST).state is State.CONFIRMED
    assert item_of(scenario, OCTOBER).state is State.CONFIRMED
    # The month's own message, however late, leaves the correction and its note alone
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    assert f"billed in all: {3_000_000 + value} bytes" in notes(scenario)
    assert held(scenario) == 3_000_000 + value


def test_a_correction_said_twice_is_the_same_one(scenario: Scenario, billed: Adjusting) -> None:
    billed.begin(billed.correction(OCTOBER, -500, DECISION))
    billed.begin(billed.correction(OCTOBER, -500, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)
    billed.begin(billed.correction(OCTOBER, -500, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)
    assert held(scenario) == 3_000_000 - 500

    billed.begin(billed.correction(OCTOBER, -500, DECISION, another=True))
    scenario.drain(Queue.MONTHLY_BILLING)
    assert held(scenario) == 3_000_000 - 1_000


def test_two_people_who_correct_at_once_do_not_overwrite_each_other(
    scenario: Scenario, billed: Adjusting
) -> None:
    one = billed.correction(OCTOBER, -500, DECISION)
    other = billed.correction(OCTOBER, -700, Decision("fin@siftbeam.example", "rounding"))

    billed.begin(one)
    with pytest.raises(NotAdjusted, match="by somebody else meanwhile"):
        billed.begin(other)

    scenario.drain(Queue.MONTHLY_BILLING)
    assert held(scenario) == 3_000_000 - 500


def test_a_correction_whose_command_died_is_sent_by_the_next_tick(
    scenario: Scenario, billed: Adjusting, monkeypatch: pytest.MonkeyPatch
) -> None:
    adjustment = billed.correction(OCTOBER, -500, DECISION)
    monkeypatch.setattr(billed, "_jobs", _Dies())
    with pytest.raises(Crash):
        billed.begin(adjustment)
    assert held(scenario) == 3_000_000

    resolve(scenario)

    assert held(scenario) == 3_000_000 - 500


class _Dies:
    def ask_again(self, _items: object) -> int:
        raise Crash


def test_no_more_is_taken_away_than_was_billed(billed: Adjusting) -> None:
    billed.begin(billed.correction(OCTOBER, -2_000_000, DECISION))

    # Also while the first one is still on its way
    with pytest.raises(NotAdjusted, match="comes to 1,000,000 bytes"):
        billed.correction(OCTOBER, -1_000_001, DECISION)
    billed.correction(OCTOBER, -1_000_000, DECISION)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (OCTOBER, 0, "changes nothing"),
        (OCTOBER, 10**15, "15 digits"),
        ("storage-usage#cus_B#2026-10", 5, "the ledger has no fact"),
    ],
)
def test_what_cannot_be_corrected_is_refused_with_the_reason(
    billed: Adjusting, key: str, value: int, reason: str
) -> None:
    with pytest.raises(NotAdjusted, match=reason):
        billed.correction(key, value, DECISION)


def test_a_correction_is_not_corrected(scenario: Scenario, billed: Adjusting) -> None:
    billed.begin(billed.correction(OCTOBER, -500, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)

    with pytest.raises(NotAdjusted, match=f"correct {OCTOBER}"):
        billed.correction(FIRST, 5, DECISION)


def test_what_was_never_billed_is_not_corrected(scenario: Scenario) -> None:
    scenario.month("cus_A", "2026-10", [3_000_000] * 31)
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=400)))
    assert isinstance(scenario.handle(bill_body("cus_A")), DeadLetter)

    with pytest.raises(NotAdjusted, match="it is rejected: nothing was billed"):
        scenario.worker.adjusting.correction(OCTOBER, 5, DECISION)


def test_a_correction_of_a_final_invoice_is_refused_and_names_the_credit_note(
    scenario: Scenario,
) -> None:
    scenario.customers("cus_A")
    scenario.simulator.seed(
        Seed(
            subscriptions=(
                SeedSubscription(customer="cus_A", started=datetime(2026, 10, 1, tzinfo=UTC)),
            )
        )
    )
    scenario.month("cus_A", "2026-10", [3_000_000] * 31)
    scenario.wall.set(datetime(2026, 11, 1, 0, 10, tzinfo=UTC))
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    adjusting = scenario.worker.adjusting
    adjusting.correction(OCTOBER, -500, DECISION)

    scenario.wall.advance(2 * HOUR)

    with pytest.raises(NotAdjusted, match=r"invoice in_\w+ of its period is final.*credit note"):
        adjusting.correction(OCTOBER, -500, DECISION)
    with pytest.raises(NotAdjusted, match=r"is final.*Bill it on an invoice item"):
        adjusting.correction(OCTOBER, 500, DECISION)
    with pytest.raises(NotAdjusted, match=r"is final.*credit note"):
        adjusting.cancellation(OCTOBER, DECISION)
    assert held(scenario) == 3_000_000


def test_a_correction_older_than_stripe_takes_is_refused(
    scenario: Scenario, billed: Adjusting
) -> None:
    scenario.wall.advance(timedelta(days=40))

    with pytest.raises(NotAdjusted, match="timestamps of the last 35 days"):
        billed.correction(OCTOBER, -500, DECISION)


def test_while_stripe_is_down_nothing_is_decided(scenario: Scenario, billed: Adjusting) -> None:
    scenario.simulator.add_faults(Rule(match=Match(), fault=Outage(), times=None))

    with pytest.raises(StripeUnavailable):
        billed.correction(OCTOBER, -500, DECISION)
    assert scenario.worker.ledger.find(FIRST) is None


def test_a_correction_of_a_run_in_the_first_minute_of_a_month_stays_in_it(
    scenario: Scenario,
) -> None:
    scenario.customers("cus_A")
    scenario.wall.set(datetime(2026, 11, 1, 6, 0, tzinfo=UTC))
    scenario.upload("service/input/cus_A/run-1/in.bin", 10)
    at = datetime(2026, 11, 1, 0, 0, 20, tzinfo=UTC)
    body = file_body(scenario.stack.bucket, "service/output/cus_A/run-1/out.bin", at)
    assert isinstance(scenario.handle(body, queue=Queue.FILE_PROCESSED), Done)
    adjusting = scenario.worker.adjusting

    adjusting.begin(adjusting.correction(RUN, 7, DECISION))
    scenario.drain(Queue.FILE_PROCESSED)

    assert held(scenario) == 17
    item = item_of(scenario, f"correction#{RUN}#1")
    assert item.identifier == "run-1:c1"
    assert item.fact.stamped_at == datetime(2026, 11, 1, 0, 1, tzinfo=UTC)


def test_a_correction_that_stripe_refuses_later_is_refused_and_can_be_sent_anew(
    scenario: Scenario, billed: Adjusting
) -> None:
    billed.begin(billed.correction(OCTOBER, -500, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)
    scenario.simulator.refuse("storage-usage:cus_A:2026-10:c1")
    scenario.wall.advance(HOUR)
    resolve(scenario)
    assert item_of(scenario, FIRST).state is State.REFUSED
    assert item_of(scenario, OCTOBER).counted
    assert "corrected by -500 bytes (refused" in notes(scenario)

    resending = scenario.worker.resending
    resending.resend(resending.check(FIRST, 1))
    scenario.drain(Queue.MONTHLY_BILLING)

    assert held(scenario) == 3_000_000 - 500
    assert item_of(scenario, FIRST).identifier == "storage-usage:cus_A:2026-10:c1:g2"


def test_late_rows_are_settled_by_a_correction_to_the_rows(scenario: Scenario) -> None:
    late_rows_settled(scenario)

    last = scenario.days_of("cus_A")[-1]
    assert (last["date"], last["billingStatus"]) == ("2026-10-31", "billed")
    assert last["stripeMeterEventId"] == "storage-usage:cus_A:2026-10:c1"
    assert "not billed" not in notes(scenario)
    with pytest.raises(NotAdjusted, match="its rows come to the 110 bytes billed"):
        scenario.worker.adjusting.to_rows(OCTOBER, DECISION)


def test_late_rows_whose_correction_stripe_refuses_say_so_until_it_is_sent_anew(
    scenario: Scenario,
) -> None:
    late_rows_settled(scenario)
    scenario.simulator.refuse("storage-usage:cus_A:2026-10:c1")
    scenario.wall.advance(HOUR)

    resolve(scenario)

    assert scenario.days_of("cus_A")[-1]["billingStatus"] == "failed"
    # Corrected to its rows once more it would be billed twice by the two
    with pytest.raises(NotAdjusted, match=r"is refused: .*`resend`"):
        scenario.worker.adjusting.to_rows(OCTOBER, DECISION)

    resending = scenario.worker.resending
    resending.resend(resending.check(FIRST, 1))
    scenario.drain(Queue.MONTHLY_BILLING)

    last = scenario.days_of("cus_A")[-1]
    assert (last["billingStatus"], last["stripeMeterEventId"]) == (
        "billed",
        "storage-usage:cus_A:2026-10:c1:g2",
    )
    assert held(scenario) == 110


def test_a_month_is_not_settled_to_its_rows_while_a_corrections_fate_is_open(
    scenario: Scenario,
) -> None:
    late_rows_settled(scenario)
    taken = item_of(scenario, FIRST)
    scenario.worker.ledger.decide(taken, left_to_a_person(taken, "not shown", scenario.wall()))
    scenario.day("cus_A", "2026-10-30", 1030)

    with pytest.raises(NotAdjusted, match="may count"):
        scenario.worker.adjusting.to_rows(OCTOBER, DECISION)


def late_rows_settled(scenario: Scenario) -> None:
    """A month with a row that came late, and a correction that bills it."""
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [100] * 30)
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    scenario.day("cus_A", "2026-10-31", 410)
    adjusting = scenario.worker.adjusting
    adjusting.begin(adjusting.to_rows(OCTOBER, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)
    assert held(scenario) == 110


def test_another_correction_is_settled_before_rows_are_asked(
    scenario: Scenario, billed: Adjusting
) -> None:
    billed.begin(billed.correction(OCTOBER, -1_000, DECISION))

    with pytest.raises(NotAdjusted, match="is planned, and counts once Stripe has it"):
        billed.to_rows(OCTOBER, DECISION)

    scenario.drain(Queue.MONTHLY_BILLING)
    back = billed.to_rows(OCTOBER, DECISION)
    assert back.fact.value == 1_000


# --- Cancellations ------------------------------------------------------------------------------


def test_a_cancelled_event_counts_no_more_and_is_not_sent_anew(
    scenario: Scenario, billed: Adjusting
) -> None:
    billed.begin(billed.cancellation(OCTOBER, DECISION))
    assert item_of(scenario, CANCELLED).state is State.PLANNED
    scenario.drain(Queue.MONTHLY_BILLING)

    assert held(scenario) == 0
    assert "cancelled (sent" in notes(scenario)
    assert "billed in all: 0 bytes" in notes(scenario)
    scenario.wall.advance(timedelta(hours=24))
    resolve(scenario)
    assert item_of(scenario, OCTOBER).state is State.CONFIRMED
    assert item_of(scenario, CANCELLED).state is State.CONFIRMED
    # Said again, and asked for again by any message
    billed.begin(billed.cancellation(OCTOBER, DECISION))
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    assert held(scenario) == 0
    # What should have been billed is
    billed.begin(billed.correction(OCTOBER, 2_000_000, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)
    assert held(scenario) == 2_000_000


def test_a_cancellation_is_not_believed_before_the_summaries_can_show_it(
    scenario: Scenario, billed: Adjusting
) -> None:
    billed.begin(billed.cancellation(OCTOBER, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)

    scenario.wall.advance(5 * HOUR)
    resolve(scenario)

    assert item_of(scenario, OCTOBER).state is State.SENT
    assert item_of(scenario, CANCELLED).state is State.SENT


def test_a_cancellation_with_a_lost_answer_is_made_good(
    scenario: Scenario, billed: Adjusting
) -> None:
    scenario.wall.advance(HOUR)
    resolve(scenario)
    assert item_of(scenario, OCTOBER).state is State.CONFIRMED
    scenario.simulator.add_faults(Rule(match=CANCEL, fault=AcceptThen500(), times=1))

    billed.begin(billed.cancellation(OCTOBER, DECISION))
    (body,) = scenario.bodies(Queue.MONTHLY_BILLING)
    # Stripe says "already cancelled" to every later call, until the wait is the ledger's
    assert isinstance(scenario.finish(body), Done)
    assert item_of(scenario, CANCELLED).state is State.UNKNOWN
    scenario.wall.advance(timedelta(hours=24))
    resolve(scenario)
    assert item_of(scenario, CANCELLED).counted
    assert held(scenario) == 0


def test_a_cancellation_that_did_not_arrive_is_sent_again(
    scenario: Scenario, billed: Adjusting
) -> None:
    scenario.simulator.add_faults(Rule(match=CANCEL, fault=Drop(), times=1))

    billed.begin(billed.cancellation(OCTOBER, DECISION))
    scenario.drain(Queue.MONTHLY_BILLING)

    assert item_of(scenario, CANCELLED).state is State.SENT
    assert held(scenario) == 0


def test_after_a_day_only_a_correction_helps(scenario: Scenario, billed: Adjusting) -> None:
    scenario.wall.advance(timedelta(hours=24))

    with pytest.raises(NotAdjusted, match=r"for 24 hours.*--bytes -3000000"):
        billed.cancellation(OCTOBER, DECISION)


def test_a_cancellation_that_stripe_rejects_leaves_the_event_billed(
    scenario: Scenario, billed: Adjusting
) -> None:
    scenario.simulator.add_faults(Rule(match=CANCEL, fault=Status(status=400)))
    adjustment = billed.cancellation(OCTOBER, DECISION)
    billed.begin(adjustment)
    (body,) = scenario.bodies(Queue.MONTHLY_BILLING)

    assert isinstance(scenario.handle(body), DeadLetter)

    assert item_of(scenario, CANCELLED).state is State.REJECTED
    scenario.wall.advance(HOUR)
    resolve(scenario)
    assert item_of(scenario, OCTOBER).state is State.CONFIRMED
    assert held(scenario) == 3_000_000


def test_a_cancelled_event_cannot_be_sent_anew(scenario: Scenario, billed: Adjusting) -> None:
    # Its fate stays open: the summaries never show anything that can be told apart
    scenario.simulator.change_settings(summary_delay_seconds=60 * 60 * 24 * 10)
    billed.begin(billed.cancellation(OCTOBER, DECISION))
    assert item_of(scenario, CANCELLED).state is State.PLANNED
    scenario.simulator.refuse("storage-usage:cus_A:2026-10")
    scenario.wall.advance(HOUR)
    scenario.worker.jobs().resolve(due_by=scenario.wall())
    (report,) = scenario.bodies(Queue.STRIPE_EVENTS)
    assert isinstance(scenario.handle(report, queue=Queue.STRIPE_EVENTS), Done)

    # The refusal came before the cancellation was sent: there is nothing to cancel
    assert item_of(scenario, OCTOBER).state is State.REFUSED
    assert item_of(scenario, CANCELLED).state is State.REFUSED
    with pytest.raises(NotResent, match=f"{DECISION.by} cancelled it"):
        scenario.worker.resending.check(OCTOBER, 1)
    with pytest.raises(NotResent, match="is a cancellation"):
        scenario.worker.resending.check(CANCELLED, 1)


def test_a_report_on_a_cancelled_event_changes_nothing(
    scenario: Scenario, billed: Adjusting
) -> None:
    # Stripe refuses the event just before it is cancelled, and reports that an hour later
    adjustment = billed.cancellation(OCTOBER, DECISION)
    scenario.simulator.refuse("storage-usage:cus_A:2026-10")
    billed.begin(adjustment)
    scenario.drain(Queue.MONTHLY_BILLING)
    assert item_of(scenario, CANCELLED).counted

    scenario.wall.advance(HOUR)
    resolve(scenario)

    assert item_of(scenario, OCTOBER).counted
    assert held(scenario) == 0


# --- A customer who leaves ------------------------------------------------------------------------


def test_a_customer_who_leaves_is_billed_through_the_last_day(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.wall.set(datetime(2026, 10, 11, 9, 30, tzinfo=UTC))
    scenario.month("cus_A", "2026-10", [100] * 10)
    scenario.day("cus_A", "2026-10-11", 1_000_000)

    scenario.worker.jobs().leave("cus_A", date(2026, 10, 10))
    scenario.drain(Queue.MONTHLY_BILLING)

    (event,) = scenario.counted("cus_A")
    assert event.value == "100"
    assert event.timestamp == int(datetime(2026, 10, 10, 23, 59, tzinfo=UTC).timestamp())
    assert "billed through 2026-10-10" in notes(scenario)
    assert "days without a row" not in notes(scenario)
    # The month's own tick bills nothing more
    scenario.wall.set(datetime(2026, 11, 1, 2, 0, tzinfo=UTC))
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    assert len(scenario.counted("cus_A")) == 1


def test_billing_through_today_is_stamped_now_and_through_tomorrow_refused(
    scenario: Scenario,
) -> None:
    scenario.customers("cus_A")
    now = datetime(2026, 10, 11, 9, 30, tzinfo=UTC)
    scenario.wall.set(now)
    scenario.month("cus_A", "2026-10", [100] * 11)

    scenario.worker.jobs().leave("cus_A", date(2026, 10, 12))
    (body,) = scenario.bodies(Queue.MONTHLY_BILLING)
    refused = scenario.handle(body)
    assert isinstance(refused, DeadLetter)
    assert "2026-10-12 has not begun" in refused.reason

    scenario.worker.jobs().leave("cus_A", date(2026, 10, 11))
    scenario.drain(Queue.MONTHLY_BILLING)
    (event,) = scenario.counted("cus_A")
    assert event.timestamp == int(now.timestamp())


# --- At the command line --------------------------------------------------------------------------


def test_adjust_and_through_at_the_command_line(
    scenario: Scenario, billed: Adjusting, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert billed is not None
    for module in (adjust_command, enqueue_command):
        monkeypatch.setattr(module, "open_installation", lambda: scenario.worker)
    who = ["--by", "ops@siftbeam.example", "--why", "counted twice"]
    runner = CliRunner()

    dry = runner.invoke(app, ["adjust", OCTOBER, "--bytes", "-500", *who, "--dry-run", "--json"])
    assert dry.exit_code == 0
    assert json.loads(dry.stdout)["billedBytes"] == 2_999_500
    assert scenario.waiting(Queue.MONTHLY_BILLING) == 0

    asked = runner.invoke(app, ["adjust", OCTOBER, "--bytes", "-500", *who], input="n\n")
    assert asked.exit_code == 1
    assert scenario.worker.ledger.find(FIRST) is None

    done = runner.invoke(app, ["adjust", OCTOBER, "--bytes", "-500", *who, "--yes"])
    assert done.exit_code == 0
    assert "-500 bytes" in done.stdout
    scenario.drain(Queue.MONTHLY_BILLING)
    assert held(scenario) == 2_999_500
    again = runner.invoke(app, ["adjust", OCTOBER, "--bytes", "-500", *who, "--yes"])
    assert "was decided before and is sent" in " ".join(again.stdout.split())

    leaves = ["enqueue", "monthly", "--through"]
    for wrong in (
        ["adjust", OCTOBER, *who],
        ["adjust", OCTOBER, "--bytes", "5", "--cancel", *who],
        ["adjust", OCTOBER, "--bytes", "5", "--by", " ", "--why", "x"],
        [*leaves, "2026-10-10"],
        [*leaves, "2026-10-10", "--customer", "cus_A", "--month", "2026-10"],
    ):
        assert runner.invoke(app, wrong).exit_code == 2, wrong
    left = runner.invoke(
        app, ["enqueue", "monthly", "--customer", "cus_A", "--through", "2026-10-10"]
    )
    assert "billing of cus_A through 2026-10-10: 1 message enqueued" in left.stdout
