"""What an operator asks: what will be billed, and does Stripe agree."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import Field

from infra.stripe_simulator import (
    Match,
    Rule,
    Seed,
    SeedCustomer,
    SeedSubscription,
    Status,
)
from tests.integration.operator import Answer, introduce
from tests.integration.scenario import bill_body, file_body
from worker.outcome import Done

if TYPE_CHECKING:
    from tests.integration.operator import Operator
    from tests.integration.scenario import Scenario

GIB = 1 << 30


# --- preview --------------------------------------------------------------------------------------


class FrozenFact(Answer):
    state: str
    value: int
    rows_differ: bool


class CustomerMonth(Answer):
    customer_id: str
    average_storage_bytes: int | None
    peak_storage_bytes: int | None
    total_storage_days: int
    missing_days: list[str]
    fact: FrozenFact | None
    runs: int
    run_bytes: int
    runs_left_out: int
    storage_amount: str
    file_amount: str
    amount: str
    skipped: str | None
    problem: str | None


class PreviewedTotals(Answer):
    customers: int
    storage_bytes: int
    runs: int
    run_bytes: int
    amount: str


class Previewed(Answer):
    month: str
    ended: bool
    customers: list[CustomerMonth]
    totals: PreviewedTotals


def previewed(operator: Operator, *arguments: str, code: int = 0) -> Previewed:
    ran = operator.run("preview", "--json", *arguments)
    assert ran.code == code, ran
    return Previewed.model_validate_json(ran.output)


def finish_run(scenario: Scenario, customer: str, run_id: str, size: int, at: datetime) -> None:
    scenario.upload(f"service/input/{customer}/{run_id}/in.bin", size)
    key = f"service/output/{customer}/{run_id}/out.bin"
    assert isinstance(scenario.handle(file_body(scenario.stack.bucket, key, at)), Done)


def test_a_month_to_come_is_worked_out_by_hand(operator: Operator, scenario: Scenario) -> None:
    scenario.customers("cus_A", "cus_B", "cus_C")
    # 30 of 31 days; the sum is 30 x 3 GiB + 15, so the average ends in a half: to the even byte.
    scenario.month("cus_A", "2026-10", [3 * GIB] * 29 + [3 * GIB + 15])
    scenario.month("cus_B", "2026-10", [0] * 31)
    scenario.day("cus_C", "2026-11-01", GIB)
    finish_run(scenario, "cus_A", "run-1", 1400, datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    finish_run(scenario, "cus_A", "run-2", 100, datetime(2026, 10, 1, tzinfo=UTC))
    # Failed, so not billed.
    scenario.run_row("run-4", "cus_A", "failed")
    finish_run(scenario, "cus_A", "run-4", 9000, datetime(2026, 10, 2, tzinfo=UTC))
    # Already the next month's.
    finish_run(scenario, "cus_A", "run-3", 5000, datetime(2026, 11, 1, tzinfo=UTC))

    answer = previewed(operator, "--month", "2026-10")

    assert (answer.month, answer.ended) == ("2026-10", True)
    first, second = answer.customers
    assert first == CustomerMonth(
        customerId="cus_A",
        averageStorageBytes=3 * GIB,
        peakStorageBytes=3 * GIB + 15,
        totalStorageDays=30,
        missingDays=["2026-10-31"],
        fact=None,
        runs=2,
        runBytes=1500,
        runsLeftOut=1,
        storageAmount="0.30",
        fileAmount="0.02",
        amount="0.32",
        skipped=None,
        problem=None,
    )
    assert (second.customer_id, second.average_storage_bytes, second.amount) == ("cus_B", 0, "0.00")
    assert answer.totals == PreviewedTotals(
        customers=2, storageBytes=3 * GIB, runs=2, runBytes=1500, amount="0.32"
    )
    # Nothing was sent but the three runs, and nothing frozen for storage.
    assert len(scenario.counted()) == 3
    assert scenario.fact("storage-usage#cus_A#2026-10") is None


def test_the_running_month_is_the_default_and_only_past_days_are_missing(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.wall.set(datetime(2026, 11, 4, 0, 30, tzinfo=UTC))
    scenario.day("cus_A", "2026-11-01", GIB)
    scenario.day("cus_A", "2026-11-03", 2 * GIB)
    scenario.day("cus_B", "2026-11-01", GIB)

    answer = previewed(operator, "--customer", "cus_A")

    assert (answer.month, answer.ended) == ("2026-11", False)
    (only,) = answer.customers
    assert (only.customer_id, only.missing_days) == ("cus_A", ["2026-11-02"])
    assert (only.average_storage_bytes, only.storage_amount) == (3 * GIB // 2, "0.20")
    assert "still running" in operator.run("preview").output


def test_what_is_billed_stands_and_changed_rows_are_told(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [GIB] * 31)
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)

    (before,) = previewed(operator, "--month", "2026-10").customers
    scenario.day("cus_A", "2026-10-31", 32 * GIB)
    (after,) = previewed(operator, "--month", "2026-10").customers

    assert before.fact == FrozenFact(state="sent", value=GIB, rowsDiffer=False)
    assert after.fact == FrozenFact(state="sent", value=GIB, rowsDiffer=True)
    assert after.average_storage_bytes == 2 * GIB
    assert (before.amount, after.amount) == ("0.10", "0.10")
    assert "the billed value stands" in operator.run("preview", "--month", "2026-10").errors


def test_what_will_not_be_billed_costs_nothing(operator: Operator, scenario: Scenario) -> None:
    scenario.month("cus_A", "2026-10", [GIB] * 31)
    scenario.month("cus_B", "2026-10", [10**15] * 31)
    scenario.day("cus_C", "2026-10-01", -1)

    refused = previewed(operator, "--month", "2026-10", code=1)
    operator.use(bill_from=datetime(2026, 11, 1, tzinfo=UTC))
    early = previewed(operator, "--month", "2026-10", "--customer", "cus_A")

    assert [one.amount for one in refused.customers] == ["0.10", "0.00", "0.00"]
    assert "15 digits" in (refused.customers[1].problem or "")
    assert "below zero" in (refused.customers[2].problem or "")
    assert early.customers[0].amount == "0.00"
    assert "BILL_FROM" in (early.customers[0].skipped or "")


def test_a_month_of_many_customers_is_told_in_their_order(
    operator: Operator, scenario: Scenario
) -> None:
    ids = [f"cus_{number:03}" for number in range(120)]
    for customer in ids:
        scenario.day(customer, "2026-10-01", GIB)

    answer = previewed(operator, "--month", "2026-10")

    assert [one.customer_id for one in answer.customers] == ids
    assert answer.totals.amount == "12.00"


def test_what_changed_since_the_month_before_stands_out(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.month("cus_A", "2026-09", [10 * GIB] * 30)
    scenario.month("cus_A", "2026-10", [40 * GIB] * 31)
    scenario.month("cus_B", "2026-09", [10 * GIB] * 30)
    scenario.month("cus_B", "2026-10", [12 * GIB] * 31)
    scenario.month("cus_C", "2026-10", [20 * GIB] * 31)

    ran = operator.run("preview", "--json", "--month", "2026-10")
    told = {one["customerId"]: one for one in json.loads(ran.output)["customers"]}

    assert [one["change"] for one in told.values()] == ["3.00", "0.20", "2.00"]
    assert told["cus_A"]["outlier"] == "$4.00 after $1.00 in 2026-09"
    assert told["cus_B"]["outlier"] is None
    assert told["cus_C"]["outlier"] == "$2.00 after nothing in 2026-09"
    assert "cus_A: stands out" in operator.run("preview", "--month", "2026-10").errors


def test_an_invoice_that_stripe_could_not_charge_needs_a_person(
    operator: Operator, scenario: Scenario
) -> None:
    finish_run(scenario, "cus_A", "run-1", 1_000, datetime(2026, 10, 2, tzinfo=UTC))
    operator.use(file_price=Decimal(1_001))

    ran = operator.run("preview", "--json", "--month", "2026-10")

    assert ran.code == 1
    (one,) = json.loads(ran.output)["customers"]
    assert "more than the $999,999.99 that Stripe charges" in one["beyondStripe"]


def test_asked_stripe_tells_each_customers_own_price(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.wall.set(datetime(2026, 10, 31, 12, tzinfo=UTC))
    introduce(scenario, "cus_A")
    scenario.customers("cus_B")
    for customer in ("cus_A", "cus_B"):
        scenario.month(customer, "2026-10", [3 * GIB] * 31)
    finish_run(scenario, "cus_A", "run-1", 98_765, datetime(2026, 10, 2, tzinfo=UTC))

    ran = operator.run("preview", "--json", "--stripe")

    first, second = json.loads(ran.output)["customers"]
    assert first["own"] == {"currency": "usd", "amount": "1.29", "upcoming": "0.99"}
    assert first["amount"] == "1.29"
    assert second["own"] == {"currency": None, "amount": None, "upcoming": None}


def test_an_empty_month(operator: Operator) -> None:
    assert "no customer has daily rows" in operator.run("preview").output
    assert operator.run("preview", "--month", "2026-13").code == 2


# --- reconcile ------------------------------------------------------------------------------------


class WaitingFact(Answer):
    identifier: str
    state: str
    size: int = Field(alias="bytes")


class Compared(Answer):
    customer_id: str
    meter: str
    facts: int
    ledger_bytes: int
    stripe_bytes: int | None
    difference: int | None
    waiting: list[WaitingFact]
    problem: str | None


class Reconciled(Answer):
    agree: int
    differ: int
    unanswered: int
    lines: list[Compared]
    advice: list[str]


def reconciled(operator: Operator, *arguments: str) -> tuple[int, Reconciled]:
    ran = operator.run("reconcile", "--json", *arguments)
    return ran.code, Reconciled.model_validate_json(ran.output)


def line(answer: Reconciled, customer: str, meter: str) -> Compared:
    (found,) = [
        each for each in answer.lines if (each.customer_id, each.meter) == (customer, meter)
    ]
    return found


@pytest.fixture
def billed(scenario: Scenario) -> Scenario:
    """October billed for two customers, with two runs; a third has no usage at all."""
    scenario.customers("cus_A", "cus_B", "cus_C")
    since = datetime(2026, 10, 1, tzinfo=UTC)
    scenario.simulator.seed(
        Seed(
            subscriptions=tuple(
                SeedSubscription(customer=customer, started=since)
                for customer in ("cus_A", "cus_B", "cus_C")
            )
        )
    )
    scenario.month("cus_A", "2026-10", [GIB] * 31)
    scenario.month("cus_B", "2026-10", [2 * GIB] * 31)
    for customer in ("cus_A", "cus_B"):
        assert isinstance(scenario.handle(bill_body(customer)), Done)
    finish_run(scenario, "cus_A", "run-1", 700, datetime(2026, 10, 5, 6, 7, 8, tzinfo=UTC))
    finish_run(scenario, "cus_A", "run-2", 30, datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    return scenario


def test_ledger_and_stripe_agree_by_default_on_the_last_month(
    operator: Operator, billed: Scenario
) -> None:
    # A customer who is gone from the table is still compared, for the rows of the month.
    billed.stack.clients.dynamodb.delete_item(
        TableName=billed.stack.table("customers"), Key={"customerId": {"S": "cus_B"}}
    )

    code, answer = reconciled(operator)

    assert code == 0
    assert (answer.agree, answer.differ, answer.unanswered) == (6, 0, 0)
    assert line(answer, "cus_B", "storage-usage").stripe_bytes == 2 * GIB
    files = line(answer, "cus_A", "file_processed")
    assert (files.facts, files.ledger_bytes, files.stripe_bytes) == (2, 730, 730)
    assert answer.advice == []
    assert "6 of 6 customer meters agree" in operator.run("reconcile").output


def test_an_event_cancelled_in_stripe_is_missed_to_the_byte(
    operator: Operator, billed: Scenario
) -> None:
    client = billed.worker.stripe.keyed_client().client
    client.v1.billing.meter_event_adjustments.create(
        {"event_name": "file_processed", "type": "cancel", "cancel": {"identifier": "run-1"}}
    )
    billed.wall.advance(timedelta(days=2))

    code, answer = reconciled(operator, "--month", "2026-10")

    assert code == 1
    assert answer.differ == 1
    found = line(answer, "cus_A", "file_processed")
    assert (found.ledger_bytes, found.stripe_bytes, found.difference) == (730, 30, -700)
    assert any("cancelled or lost" in step for step in answer.advice)
    told = operator.run("reconcile", "--month", "2026-10")
    assert re.search(r"cus_A .* file_processed .* 2 .* 730 .* 30 .* -700", told.output)


def test_a_month_that_stripe_lost_or_does_not_show_yet(
    operator: Operator, billed: Scenario
) -> None:
    billed.simulator.refuse("storage-usage:cus_B:2026-10")

    code, answer = reconciled(operator, "--customer", "cus_B")

    assert code == 1
    assert len(answer.lines) == 2
    assert line(answer, "cus_B", "storage-usage").difference == -2 * GIB
    # It was sent a moment ago, so the summaries may only lag.
    assert any("tomorrow" in step for step in answer.advice)


def test_an_event_whose_answer_was_lost_is_explained_by_the_open_fact(
    operator: Operator, billed: Scenario
) -> None:
    billed.simulator.add_faults(
        Rule(match=Match(identifier_prefix="run-9"), fault=Status(status=500))
    )
    billed.upload("service/input/cus_C/run-9/in.bin", 55)
    key = "service/output/cus_C/run-9/out.bin"
    at = datetime(2026, 10, 7, tzinfo=UTC)
    billed.handle(file_body(billed.stack.bucket, key, at))
    client = billed.worker.stripe.keyed_client().client
    client.v1.billing.meter_events.create(
        {
            "event_name": "file_processed",
            "identifier": "as-if-it-were-run-9",
            "timestamp": int(at.timestamp()),
            "payload": {"stripe_customer_id": "cus_C", "value": "55"},
        }
    )

    code, answer = reconciled(operator)

    assert code == 1
    found = line(answer, "cus_C", "file_processed")
    assert (found.ledger_bytes, found.stripe_bytes, found.difference) == (0, 55, 55)
    assert [(w.identifier, w.state, w.size) for w in found.waiting] == [("run-9", "unknown", 55)]
    assert any("siftbeam-billing resolve" in step for step in answer.advice)


def test_a_stranger_on_the_meter_is_found(operator: Operator, billed: Scenario) -> None:
    client = billed.worker.stripe.keyed_client().client
    client.v1.billing.meter_events.create(
        {
            "event_name": "storage-usage",
            "timestamp": int(datetime(2026, 10, 31, 23, 59, tzinfo=UTC).timestamp()),
            "payload": {"stripe_customer_id": "cus_C", "value": "1"},
        }
    )

    code, answer = reconciled(operator)

    assert code == 1
    assert line(answer, "cus_C", "storage-usage").difference == 1
    assert any("the ledger does not hold" in step for step in answer.advice)


def test_a_stripe_that_is_down_is_not_asked_for_ever(operator: Operator, billed: Scenario) -> None:
    many = tuple(SeedCustomer(id=f"cus_{number}") for number in range(30))
    for customer in many:
        billed.put("customers", {"customerId": customer.id})
    billed.simulator.add_faults(
        Rule(match=Match(path_prefix="/v1/billing/meters"), fault=Status(status=400), times=None)
    )

    code, answer = reconciled(operator)

    assert code == 1
    assert answer.unanswered == len(answer.lines) == 66
    asked = [seen for seen in billed.simulator.requests() if seen.path == "/v1/billing/meters"]
    assert len(asked) < 12
    assert any("doctor" in step for step in answer.advice)


def test_a_month_to_come_cannot_be_reconciled(operator: Operator) -> None:
    assert operator.run("reconcile", "--month", "2026-12").code == 2
