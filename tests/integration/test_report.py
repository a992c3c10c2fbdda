"""The report against the tables it is made of, and against Stripe's truth."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from infra.stripe_simulator import Seed, SeedCustomer, SeedSubscription
from producers.queues import Queue
from tests.integration.scenario import bill_body, file_body
from tests.unit.report.browser import opened
from worker.cli import app
from worker.commands import report as report_command
from worker.outcome import Done

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.scenario import Scenario

GIB = 1 << 30
SIZES = [3 * GIB + day for day in range(31)]


@pytest.fixture
def billed(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """Three customers of October: one plain, one with a day missing and a run, one unknown."""
    scenario.simulator.seed(
        Seed(
            customers=(SeedCustomer(id="cus_A"), SeedCustomer(id="cus_B")),
            subscriptions=tuple(
                SeedSubscription(customer=each, started=datetime(2026, 10, 1, tzinfo=UTC))
                for each in ("cus_A", "cus_B")
            ),
        )
    )
    scenario.month("cus_A", "2026-10", SIZES)
    scenario.month("cus_B", "2026-10", [7] * 30)
    scenario.month("cus_Gone", "2026-10", [GIB] * 31)
    scenario.upload("service/input/cus_B/run-1/in.bin", 98_765)
    at = datetime(2026, 10, 31, 9, tzinfo=UTC)
    key = "service/output/cus_B/run-1/out.bin"
    assert isinstance(scenario.handle(file_body(scenario.stack.bucket, key, at)), Done)
    for customer in ("cus_A", "cus_B", "cus_Gone"):
        scenario.handle(bill_body(customer))
    monkeypatch.setattr(report_command, "open_installation", lambda: scenario.worker)
    return scenario


def reported(*arguments: str, code: int = 0) -> dict[str, Any]:
    ran = CliRunner().invoke(app, ["report", "--json", *arguments])
    assert ran.exit_code == code, ran
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def test_every_file_says_what_the_tables_say(billed: Scenario, tmp_path: Path) -> None:
    page, table = tmp_path / "october.html", tmp_path / "october.csv"

    told = reported("--html", str(page), "--csv", str(table))

    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = {line["customerId"]: line for line in csv.DictReader(file)}
    by_id = {one["customerId"]: one for one in told["customers"]}
    assert sorted(by_id) == sorted(lines) == ["cus_A", "cus_B", "cus_Gone"]
    for customer, line in lines.items():
        row = billed.month_of(customer, "2026-10")
        assert row is not None
        for name in ("averageStorageBytes", "peakStorageBytes", "dailyUsageSum"):
            assert int(line[name]) == by_id[customer][name] == row[name]
        days = {day["date"]: day["totalStorageBytes"] for day in billed.days_of(customer)}
        assert {name: int(line[name]) for name in line if name in days} == days
    assert lines["cus_B"]["missingDays"] == "2026-10-31"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_amounts_are_those_of_stripes_invoices(billed: Scenario) -> None:
    billed.wall.set(datetime(2026, 11, 1, 0, 30, tzinfo=UTC))

    told = reported()

    lines = billed.simulator.truth().lines
    for one in told["customers"]:
        cents = sum(
            line.amount
            for line in lines
            if line.customer == one["customerId"]
            and line.period_end == int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
        )
        if one["customerId"] != "cus_Gone":
            assert one["amount"] == f"{cents // 100}.{cents % 100:02}"


def test_asked_stripe_answers_in_the_statement(billed: Scenario, tmp_path: Path) -> None:
    page = tmp_path / "one.html"
    billed.wall.set(datetime(2026, 11, 1, 0, 30, tzinfo=UTC))

    reported("--customer", "cus_A", "--stripe", "--html", str(page))

    statement = opened(page, tmp_path / "profile").with_id("statement")
    assert statement.with_id("statement-title").text == "cus_A"
    assert "to the byte" in statement.text
    assert "(draft): 4 units" in statement.text


def test_what_stripe_refused_is_named_and_needs_a_person(billed: Scenario) -> None:
    billed.wall.set(datetime(2026, 11, 2, 3, tzinfo=UTC))
    assert billed.worker.jobs().fetch_reports() == 1
    billed.drain(Queue.STRIPE_EVENTS, Queue.MONTHLY_BILLING)

    told = reported(code=1)

    (trouble,) = told["troubles"]
    assert (trouble["customerId"], trouble["state"]) == ("cus_Gone", "refused")
    assert trouble["needsAPerson"]
    amounts = {one["customerId"]: one["amount"] for one in told["customers"]}
    assert amounts["cus_Gone"] == "0.00"


@pytest.mark.usefixtures("billed")
def test_a_month_that_has_not_begun_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["report", "--month", "2026-12"]).exit_code == 2


@pytest.mark.usefixtures("billed")
def test_for_a_person_it_is_a_table() -> None:
    ran = CliRunner().invoke(app, ["report"], env={"COLUMNS": "200"})

    assert "3 customers: storage $0.60" in ran.stdout
    assert "cus_A" in ran.stdout
