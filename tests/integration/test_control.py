"""What an operator holds back: pauses and exclusions."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from infra.stripe_simulator import Match, Rule, Status
from producers.queues import Queue
from tests.integration.scenario import bill_body
from worker.cli import app
from worker.commands import control as control_command
from worker.commands import doctor as doctor_command
from worker.commands import preview as preview_command
from worker.controls import BELIEVED
from worker.ledger.item import State
from worker.outcome import Done, Retry

if TYPE_CHECKING:
    from tests.integration.scenario import Scenario

OCTOBER = "storage-usage#cus_A#2026-10"
EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")


class Operator:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    def run(self, *arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert result.exit_code == code, result.output
        return result.stdout


@pytest.fixture
def operator(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Operator:
    for module in (control_command, doctor_command, preview_command):
        monkeypatch.setattr(module, "open_installation", lambda: scenario.worker)
    for name, value in scenario.stack.environment().items():
        monkeypatch.setenv(name, value)
    scenario.customers("cus_A", "cus_B")
    for customer in ("cus_A", "cus_B"):
        scenario.month(customer, "2026-10", [1_000] * 31)
    return Operator(scenario)


def bill(scenario: Scenario, *customers: str) -> None:
    """By a worker that has just started, and so believes nothing that it read before."""
    worker = scenario.installation()
    for customer in customers:
        assert isinstance(scenario.handle(bill_body(customer), worker=worker), Done)


def resolve(scenario: Scenario) -> None:
    worker = scenario.installation()
    worker.jobs().resolve(due_by=None)
    scenario.drain(Queue.MONTHLY_BILLING, worker=worker)


def billed(scenario: Scenario) -> list[str]:
    return sorted(event.customer for event in scenario.counted())


@pytest.mark.parametrize("narrow", [[], ["--customer", "cus_A"]])
def test_while_paused_facts_are_recorded_and_nothing_is_sent(
    scenario: Scenario, operator: Operator, narrow: list[str]
) -> None:
    operator.run("pause", *narrow, "--why", "prices change")
    bill(scenario, "cus_A", "cus_B")

    item = scenario.worker.ledger.find(OCTOBER)
    assert item is not None
    assert (item.state, item.fact.value, item.attempts) == (State.PLANNED, 1_000, 0)
    assert billed(scenario) == (["cus_B"] if narrow else [])

    # An hourly tick meanwhile sends nothing either
    scenario.wall.advance(timedelta(hours=1))
    resolve(scenario)
    assert billed(scenario) == (["cus_B"] if narrow else [])

    operator.run("resume", *narrow)
    resolve(scenario)
    assert billed(scenario) == ["cus_A", "cus_B"]


def test_a_fact_whose_fate_is_open_is_not_sent_again_while_paused(
    scenario: Scenario, operator: Operator
) -> None:
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=500), times=1))
    assert isinstance(scenario.handle(bill_body("cus_A")), Retry)

    operator.run("pause")
    bill(scenario, "cus_A")

    item = scenario.worker.ledger.find(OCTOBER)
    assert item is not None
    assert (item.state, item.attempts) == (State.UNKNOWN, 1)


def test_an_excluded_customer_is_recorded_as_skipped_for_good(
    scenario: Scenario, operator: Operator
) -> None:
    said = operator.run("exclude", "cus_A", "--why", "our own", "--by", "ana", "--json")
    assert "ana: our own" in json.loads(said)["excluded"]["cus_A"]
    preview = json.loads(operator.run("preview", "--month", "2026-10", "--json"))
    assert "our own" in json.dumps(preview)

    bill(scenario, "cus_A", "cus_B")
    assert billed(scenario) == ["cus_B"]
    item = scenario.worker.ledger.find(OCTOBER)
    assert item is not None
    assert item.state is State.SKIPPED
    assert "our own" in (item.last_error or "")

    operator.run("include", "cus_A")
    bill(scenario, "cus_A")
    assert billed(scenario) == ["cus_B"]


def test_the_doctor_warns_of_what_is_held_back(operator: Operator) -> None:
    operator.run("pause", "--by", "ana", "--why", "prices change")
    operator.run("pause", "--customer", "cus_A")

    result = CliRunner().invoke(app, ["doctor", "--json"])

    sending = [
        finding
        for finding in json.loads(result.stdout)["findings"]
        if finding["check"] == "sending"
    ]
    assert [finding["commands"] for finding in sending] == [
        ["siftbeam-billing resume"],
        ["siftbeam-billing resume --customer cus_A"],
    ]
    assert "(ana: prices change)" in sending[0]["detail"]


def test_what_makes_no_sense_is_wrong_usage(operator: Operator) -> None:
    operator.run("pause", "--customer", "nobody at all", code=2)
    operator.run("exclude", "cus_A", code=2)
    assert "nothing is paused" in operator.run("resume", "--customer", "cus_A")


def test_a_worker_learns_of_a_pause_within_half_a_minute(
    scenario: Scenario, operator: Operator
) -> None:
    controls = scenario.worker.controls
    assert controls.current().pause_of("cus_A") is None
    operator.run("pause")

    scenario.wall.advance(BELIEVED - timedelta(seconds=1))
    assert controls.current().pause_of("cus_A") is None
    scenario.wall.advance(timedelta(seconds=1))
    assert controls.current().pause_of("cus_A") is not None
