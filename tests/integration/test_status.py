"""The status: what goes on, counted where it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from infra.stripe_simulator import Outage, Rule
from producers.queues import Queue
from tests.integration.scenario import bill_body
from worker.cli import app
from worker.commands import status as status_command
from worker.controls import Control, Kind
from worker.listing.checkpoint import Checkpoint

if TYPE_CHECKING:
    from tests.integration.scenario import Scenario

GIB = 1 << 30


@pytest.fixture
def running(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """The 1st: three customers, two of them billed, one sized today."""
    scenario.customers("cus_A", "cus_B", "cus_C")
    for customer in ("cus_A", "cus_B", "cus_C"):
        scenario.month(customer, "2026-10", [GIB] * 31)
    scenario.handle(bill_body("cus_A"))
    scenario.day("cus_A", "2026-11-01", GIB)
    scenario.simulator.add_faults(Rule(fault=Outage(), times=None))
    scenario.handle(bill_body("cus_B"))
    scenario.simulator.clear_faults()
    monkeypatch.setattr(status_command, "open_installation", scenario.installation)
    return scenario


def seen(code: int = 0) -> dict[str, Any]:
    ran = CliRunner().invoke(app, ["status", "--json"])
    assert ran.exit_code == code, ran
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def test_the_day_the_month_and_what_is_open(running: Scenario) -> None:
    running.send(Queue.DAILY_SIZING, "{}")

    told = seen()

    assert told["day"] == {"date": "2026-11-01", "measured": 1, "customers": 3}
    assert told["month"] == {
        "month": "2026-10",
        "expected": 3,
        "billed": 1,
        "failed": 0,
        "pending": 1,
    }
    assert sum(told["openFacts"].values()) >= 1
    held = {queue["name"].split("-", 1)[1]: queue for queue in told["queues"]}
    assert held["daily-sizing"]["visible"] == 1
    assert told["stripeProblem"] is None


def test_a_long_listing_tells_how_far_it_is(running: Scenario) -> None:
    now = running.wall()
    checkpoints = running.worker.checkpoints
    checkpoints.take_over("service/input/cus_A/", "a holder")
    checkpoints.save(
        Checkpoint(
            prefix="service/input/cus_A/",
            day=now.date(),
            began_at=now - timedelta(minutes=12),
            saved_at=now,
            objects=43_000_000,
            total_bytes=10**14,
            pages=43_000,
            percent=43,
            left=((None, None),),
        ),
        "a holder",
    )
    checkpoints.announce("service/input/cus_A/")

    (listing,) = seen()["listings"]
    ran = CliRunner().invoke(app, ["status"])

    assert (listing["objects"], listing["percent"]) == (43_000_000, 43)
    assert "service/input/cus_A/: 43,000,000 objects, about 43 %, since 12 min" in ran.stdout


def test_a_dead_letter_needs_a_person(running: Scenario) -> None:
    running.stack.clients.sqs.send_message(
        QueueUrl=running.stack.queue_url("monthly-billing-dlq"), MessageBody="{}"
    )

    told = seen(code=1)

    assert sum(queue["deadLetters"] for queue in told["queues"]) == 1


def test_a_stripe_that_is_down_is_told(running: Scenario) -> None:
    running.simulator.add_faults(Rule(fault=Outage(), times=None))

    assert seen(code=1)["stripeProblem"]


def test_piped_it_is_plain(running: Scenario) -> None:
    running.worker.controls.put(
        Kind.PAUSE, None, Control("me", "an audit", datetime(2026, 11, 1, tzinfo=UTC))
    )

    ran = CliRunner().invoke(app, ["status"])

    assert "\x1b" not in ran.stdout
    assert "2026-10: 1 of 3 customers billed, 1 not settled, 1 to come" in ran.stdout
    assert "paused  everybody since 2026-11-01 00:00 UTC (me: an audit)" in ran.stdout
