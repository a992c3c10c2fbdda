"""A mistyped customer bills nobody and gets no empty table: it is said where it was looked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import Seed, SeedCustomer
from producers.queues import Queue
from tests.integration.scenario import file_body

if TYPE_CHECKING:
    from tests.integration.operator import Operator
    from tests.integration.scenario import Scenario

ASKING = [
    ["preview", "--month", "2026-10"],
    ["report", "--month", "2026-10"],
    ["reconcile", "--month", "2026-10"],
    ["enqueue", "daily"],
    ["enqueue", "daily", "--date", "2026-10-12", "--dry-run"],
    ["enqueue", "monthly", "--month", "2026-10"],
    ["enqueue", "monthly", "--through", "2026-10-10"],
]


@pytest.mark.parametrize("arguments", ASKING)
@pytest.mark.parametrize("source", ["dynamodb", "stripe"])
def test_nobody_has_heard_of_them(
    operator: Operator, scenario: Scenario, arguments: list[str], source: str
) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    operator.use(customer_source=source)

    ran = operator.run(*arguments, "--customer", "cus_a")

    assert ran.code == 2
    said = " ".join(ran.errors.replace("│", " ").split())
    assert "there is no customer 'cus_a'" in said
    assert ("Stripe" if source == "stripe" else scenario.stack.table("customers")) in said
    assert ran.output == ""
    assert scenario.bodies(Queue.DAILY_SIZING) == scenario.bodies(Queue.MONTHLY_BILLING) == []


def known_by_the_table(scenario: Scenario) -> None:
    scenario.put("customers", {"customerId": "cus_A"})


def known_by_stripe(scenario: Scenario) -> None:
    scenario.simulator.seed(Seed(customers=(SeedCustomer(id="cus_A"),)))


def known_by_rows(scenario: Scenario) -> None:
    scenario.day("cus_A", "2026-09-01", 5)


def known_by_a_run(scenario: Scenario) -> None:
    scenario.simulator.seed(Seed(customers=(SeedCustomer(id="cus_B"),)))
    scenario.upload("service/input/cus_A/run-1/in", 5)
    key = "service/output/cus_A/run-1/out"
    scenario.handle(file_body(scenario.stack.bucket, key, datetime(2026, 9, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("trace", "source"),
    [
        (known_by_the_table, "dynamodb"),
        (known_by_stripe, "stripe"),
        (known_by_rows, "dynamodb"),
        (known_by_rows, "stripe"),
        (known_by_a_run, "dynamodb"),
        (known_by_a_run, "stripe"),
    ],
)
def test_one_trace_of_them_suffices(
    operator: Operator, scenario: Scenario, trace: object, source: str
) -> None:
    assert callable(trace)
    trace(scenario)
    operator.use(customer_source=source)

    for arguments in ASKING[:5]:
        ran = operator.run(*arguments, "--customer", "cus_A")
        assert ran.code in {0, 1}, (arguments, ran)
        assert "no customer" not in ran.errors


@pytest.mark.parametrize("when", [["--month", "2026-10"], ["--through", "2026-11-01"]])
def test_a_month_without_rows_is_not_enqueued(
    operator: Operator, scenario: Scenario, when: list[str]
) -> None:
    scenario.customers("cus_A")
    scenario.day("cus_A", "2026-09-30", 5)

    ran = operator.run("enqueue", "monthly", *when, "--customer", "cus_A")

    assert (ran.code, ran.output) == (2, "")
    said = " ".join(ran.errors.replace("│", " ").split())
    assert "cus_A has no daily row in 2026-1" in said
    assert "enqueue daily --customer cus_A --date" in said
    assert scenario.bodies(Queue.MONTHLY_BILLING) == []


def test_an_output_that_never_was_is_not_enqueued(operator: Operator, scenario: Scenario) -> None:
    key = "service/output/cus_A/run-1/out.bin"

    ran = operator.run("enqueue", "file-processed", "--key", key)

    assert (ran.code, ran.output) == (2, "")
    assert "nothing lies at" in ran.errors
    assert scenario.bodies(Queue.FILE_PROCESSED) == []

    # An output that has expired is billed by its history row.
    scenario.run_row("run-1", "cus_A", usageAmountBytes=5)
    assert operator.run("enqueue", "file-processed", "--key", key).code == 0
    assert len(scenario.bodies(Queue.FILE_PROCESSED)) == 1


@pytest.mark.parametrize("command", [["pause", "--customer"], ["exclude", "--why", "ours"]])
def test_who_is_about_to_come_may_be_held_back_and_is_said_to_be_unknown(
    operator: Operator, scenario: Scenario, command: list[str]
) -> None:
    scenario.customers("cus_A")

    unknown, known = (operator.run(*command, each) for each in ("cus_new", "cus_A"))

    assert (unknown.code, known.code) == (0, 0)
    assert "there is no customer 'cus_new'" in unknown.errors
    assert "in force all the same" in unknown.errors
    assert "cus_new" in known.output
    assert known.errors == ""


@pytest.mark.parametrize("why", ["", "  ", "x" * 501])
def test_an_exclusion_has_a_reason(operator: Operator, scenario: Scenario, why: str) -> None:
    scenario.customers("cus_A")

    assert operator.run("exclude", "cus_A", "--why", why).code == 2
    assert "nobody is excluded" in operator.run("include", "cus_A").output


def test_ending_what_was_not_in_force_is_said(operator: Operator, scenario: Scenario) -> None:
    scenario.customers("cus_A")
    operator.run("pause", "--customer", "cus_A")

    mistyped = operator.run("resume", "--customer", "cus_a")

    assert mistyped.code == 0
    assert "cus_a was not paused" in mistyped.errors
    assert "paused for cus_A" in mistyped.output
    assert operator.run("resume", "--customer", "cus_A").errors == ""
    assert "cus_A was not excluded" in operator.run("include", "cus_A").errors
    assert "sending was not paused for everybody" in operator.run("resume").errors
