"""A month of many customers, read together, is what each of them reads alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from infra.stripe_simulator import Match, Rule, Status
from producers.billing_month import BillingMonth
from tests.integration.operator import introduce
from tests.integration.scenario import (
    Calls,
    bill_body,
    close_clients,
    counted_clients,
    file_body,
)
from worker.adjusting import Decision
from worker.outcome import Done

if TYPE_CHECKING:
    from tests.integration.scenario import Scenario

OCTOBER = BillingMonth(2026, 10)
GIB = 1 << 30


def test_together_and_alone_read_the_same(scenario: Scenario) -> None:
    plain = [f"cus_{number:03}" for number in range(120)]
    for number, customer in enumerate(plain):
        scenario.month(customer, "2026-10", [number * 1000 + day for day in range(31)])
    introduce(scenario, "cus_Gap", "cus_Corrected", "cus_Cancelled", "cus_Late", "cus_Refused")
    scenario.month("cus_Gap", "2026-10", [GIB] * 12)
    for customer in ("cus_Corrected", "cus_Cancelled", "cus_Late"):
        scenario.month(customer, "2026-10", [GIB] * 31)
    # A row after billing that says something else, and one that billing finds by its date alone.
    for customer in ("cus_Corrected", "cus_Cancelled", "cus_Late", "cus_000"):
        assert isinstance(scenario.handle(bill_body(customer)), Done)
    scenario.day("cus_Late", "2026-10-31", 9 * GIB)
    scenario.day("cus_001", "2026-10-30", 77, billingMonth="2026-09")
    scenario.day("cus_Wrong", "2026-10-01", -1)
    scenario.simulator.add_faults(
        Rule(match=Match(identifier_prefix="storage-usage:cus_Refused"), fault=Status(status=400))
    )
    scenario.month("cus_Refused", "2026-10", [GIB] * 31)
    scenario.handle(bill_body("cus_Refused"))
    for customer in ("cus_Gap", "cus_005"):
        scenario.upload(f"service/input/{customer}/run-{customer}/in.bin", 10)
        key = f"service/output/{customer}/run-{customer}/out.bin"
        at = datetime(2026, 10, 20, tzinfo=UTC)
        assert isinstance(scenario.handle(file_body(scenario.stack.bucket, key, at)), Done)
    adjusting = scenario.worker.adjusting
    decision = Decision("ana@siftbeam.example", "counted twice")
    adjusting.begin(
        adjusting.correction("storage-usage#cus_Corrected#2026-10", -5, decision, another=False)
    )
    adjusting.begin(adjusting.cancellation("storage-usage#cus_Cancelled#2026-10", decision))
    scenario.wall.advance(timedelta(days=1))

    statements = scenario.worker.statements
    of_month = statements.of_month(OCTOBER, runs_listed=lambda _: 5)
    customers = of_month.customers
    together = list(of_month.stream(customers))

    assert [one.customer_id for one in together] == customers
    assert set(customers) >= {"cus_Gap", "cus_Wrong", "cus_Refused", *plain}
    for one in together:
        assert one == statements.of_customer(one.customer_id, OCTOBER, runs_listed=5)
    told = {one.customer_id: one for one in together}
    assert [len(told[each].corrections) for each in ("cus_Corrected", "cus_Cancelled")] == [1, 1]
    assert told["cus_005"].runs.billed == 1
    assert told["cus_Wrong"].problem is not None
    assert told["cus_001"].days[29].total_bytes == 77


def test_a_month_takes_a_few_calls_however_many_runs_there_are(scenario: Scenario) -> None:
    for number in range(60):
        scenario.month(f"cus_{number:02}", "2026-10", [GIB] * 31)
    at = datetime(2026, 10, 31, tzinfo=UTC)
    for number in range(90):
        customer, run_id = f"cus_{number % 30:02}", f"run-{number}"
        scenario.upload(f"service/input/{customer}/{run_id}/in.bin", number)
        key = f"service/output/{customer}/{run_id}/out.bin"
        # The last comes first.
        assert isinstance(
            scenario.handle(file_body(scenario.stack.bucket, key, at - timedelta(hours=number))),
            Done,
        )
    calls = Calls()
    clients = counted_clients(scenario.stack, calls)
    statements = scenario.installation(clients=clients, calls=calls).statements

    of_month = statements.of_month(OCTOBER, runs_listed=lambda _: 2)
    together = list(of_month.stream(of_month.customers))

    close_clients(clients)
    assert len(calls.made) < 10, calls.made
    assert [one.runs.billed for one in together] == [3] * 30 + [0] * 30
    assert [item.fact.subject for item in together[7].runs.listed] == ["run-67", "run-37"]
    assert together[7].runs.total_bytes == 7 + 37 + 67
