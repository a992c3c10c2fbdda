"""What the alarms read: counted where it happens, written as lines on standard output."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.stripe_simulator import Match, Rule, Status
from producers.messages import Job, Tick
from producers.queues import Queue
from tests.integration.scenario import Scenario, bill_body, size_body
from worker.outcome import DeadLetter, Done, Retry

if TYPE_CHECKING:
    import pytest


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The sum of each metric written since the last look."""
    sums: dict[str, int] = {}
    for line in capsys.readouterr().out.splitlines():
        if not line.startswith('{"_aws"'):
            continue
        document = json.loads(line)
        for group in document["_aws"]["CloudWatchMetrics"]:
            for metric in group["Metrics"]:
                name = metric["Name"]
                sums[name] = sums.get(name, 0) + document[name]
    return sums


def resolve(scenario: Scenario, at: datetime) -> None:
    scenario.wall.set(at)
    body = Tick(job=Job.RESOLVE, scheduled_time=at).body()
    assert isinstance(scenario.handle(body, queue=Queue.SCHEDULE), Done)


def test_rows_and_months_that_lack_are_counted_by_the_hourly_tick(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.customers("cus_A", "cus_B", "cus_C")
    scenario.day("cus_A", "2026-11-01", 5)
    scenario.month("cus_B", "2026-10", [5])

    resolve(scenario, datetime(2026, 11, 1, 3, tzinfo=UTC))
    assert counted(capsys) == {"OldestDueSeconds": 0, "DailyRowsMissing": 2}

    resolve(scenario, datetime(2026, 11, 1, 6, tzinfo=UTC))
    assert counted(capsys) == {"OldestDueSeconds": 0, "MonthsUnbilled": 1}

    # A fact that waits is a month that is not billed, until Stripe has it.
    fault = Status(status=429, type="invalid_request_error", code="rate_limit")
    scenario.simulator.add_faults(Rule(match=Match(method="POST"), fault=fault, times=None))
    assert isinstance(scenario.handle(bill_body("cus_B")), Retry)
    resolve(scenario, datetime(2026, 11, 1, 7, tzinfo=UTC))
    waiting = counted(capsys)
    assert waiting["MonthsUnbilled"] == 1
    assert 3500 <= waiting["OldestDueSeconds"] <= 3600

    scenario.simulator.clear_faults()
    scenario.finish(bill_body("cus_B"))
    resolve(scenario, datetime(2026, 11, 1, 9, tzinfo=UTC))
    assert counted(capsys) == {"OldestDueSeconds": 0, "MonthsUnbilled": 0}


def test_a_send_that_fails_rings_and_one_that_succeeds_does_not(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.customers("cus_A", "cus_B", "cus_C")
    for customer in ("cus_A", "cus_B", "cus_C"):
        scenario.month(customer, "2026-10", [5])
    scenario.handle(bill_body("cus_A"))
    assert "StripeMeterSendFailure" not in counted(capsys)

    posts = Match(method="POST", path_prefix="/v1/billing/meter_events")
    refusal = Status(status=400, type="invalid_request_error")
    scenario.simulator.add_faults(Rule(match=posts, fault=refusal, times=1))
    assert isinstance(scenario.handle(bill_body("cus_B")), DeadLetter)
    assert counted(capsys)["StripeMeterSendFailure"] == 1

    scenario.simulator.add_faults(
        Rule(match=posts, fault=Status(status=401, type="authentication_error"), times=1)
    )
    assert isinstance(scenario.handle(bill_body("cus_C")), Retry)
    assert counted(capsys)["StripeMeterSendFailure"] == 1


def test_rows_that_were_written_are_counted_together(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        scenario.handle(size_body("cus_A", "2026-11-01"), queue=Queue.DAILY_SIZING)
    assert counted(capsys) == {}

    scenario.worker.metrics.flush()

    assert counted(capsys) == {"DailyRowsWritten": 2}
