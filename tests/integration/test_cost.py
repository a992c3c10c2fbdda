"""What the bill assumes of the worker, counted on a run of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from producers.queues import Queue
from tests.integration.permissions import Recorder
from tests.integration.scenario import (
    Scenario,
    bill_body,
    close_clients,
    file_body,
    size_body,
)
from tests.unit.infra.templates import read_template
from worker.cost import workload
from worker.cost.workload import MONTH, RUN, SIZING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.operator_installation import OperatorInstallation

INDEXES = {
    resource["Properties"]["TableName"]["Fn::Sub"].removeprefix("${TablePrefix}"): len(
        resource["Properties"].get("GlobalSecondaryIndexes", [])
    )
    for resource in read_template("data")["Resources"].values()
    if resource["Type"] == "AWS::DynamoDB::Table"
}
KILOBYTE = 1024


@pytest.fixture
def recorder(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(scenario.stack, monkeypatch)


@pytest.fixture
def worker(scenario: Scenario, recorder: Recorder) -> Iterator[OperatorInstallation]:
    clients = recorder.clients()
    made = scenario.installation(clients=clients)
    scenario.customers("cus_A")
    # What a worker asks once, at its start, belongs to no piece of work.
    made.stripe.account()
    recorder.calls.clear()
    yield made
    close_clients(clients)


def item_size(scenario: Scenario, table: str) -> int:
    """Bytes of a table's largest row: names and values as text, which is no less than they take.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return max(
        sum(len(f"{name}{value}".encode()) for name, value in row.items())
        for row in scenario.rows(table)
    )


def test_a_sizing(scenario: Scenario, worker: OperatorInstallation, recorder: Recorder) -> None:
    scenario.upload("service/input/cus_A/run-1/in.csv", 5)

    scenario.handle(size_body("cus_A", "2026-11-01"), worker=worker)

    assert recorder.made("s3:ListBucket", "") == SIZING.lists
    assert recorder.made("dynamodb:PutItem", "storage-usage-daily") == 1
    assert 1 + INDEXES["storage-usage-daily"] == SIZING.writes == workload.NEW_DAILY_ROW
    assert sum(recorder.calls.values()) == 3, recorder.calls
    assert item_size(scenario, "storage-usage-daily") < KILOBYTE


def test_a_month(scenario: Scenario, worker: OperatorInstallation, recorder: Recorder) -> None:
    days = 31
    scenario.month("cus_A", "2026-10", [10] * days)

    scenario.handle(bill_body("cus_A"), worker=worker)
    scenario.wall.advance(timedelta(hours=2))
    worker.jobs().resolve(due_by=scenario.wall())

    # Frozen, claimed, sent and confirmed; being invoiced is one more update, at the reconciliation.
    assert recorder.made("dynamodb:PutItem", "billing-ledger") == 1 + 1  # the fact, and the cursor
    assert recorder.made("dynamodb:UpdateItem", "billing-ledger") == 3
    # ministack refuses them for their OR, so there each is made again, alone.
    assert recorder.made("dynamodb:PartiQLUpdate", "storage-usage-daily") == days
    assert recorder.made("dynamodb:PutItem", "storage-usage-monthly") == 1
    assert recorder.made("dynamodb:UpdateItem", "storage-usage-monthly") == 0
    assert INDEXES["billing-ledger"] == INDEXES["storage-usage-daily"] == 2
    assert MONTH.writes == workload.FACT + workload.MONTHLY_ROW + days * workload.MARKED_DAILY_ROW
    assert recorder.made("s3:ListBucket", "") == MONTH.lists == 0
    for table in ("billing-ledger", "storage-usage-monthly", "storage-usage-daily"):
        assert item_size(scenario, table) < KILOBYTE, table


def test_a_run(scenario: Scenario, worker: OperatorInstallation, recorder: Recorder) -> None:
    scenario.run_row("run-1", "cus_A")
    scenario.upload("service/input/cus_A/run-1/in.csv", 5)
    body = file_body(scenario.stack.bucket, "service/output/cus_A/run-1/o", scenario.wall())

    scenario.handle(body, worker=worker, queue=Queue.FILE_PROCESSED)

    assert recorder.made("s3:ListBucket", "") == RUN.lists
    assert recorder.made("dynamodb:PutItem", "billing-ledger") == 1
    assert recorder.made("dynamodb:UpdateItem", "billing-ledger") == 2
    assert recorder.made("dynamodb:UpdateItem", "processing-history") == 0
    assert RUN.writes == workload.FACT


def test_messages_go_by_tens(
    scenario: Scenario, worker: OperatorInstallation, recorder: Recorder
) -> None:
    scenario.customers(*(f"cus_{number}" for number in range(29)))
    scenario.wall.advance(timedelta(hours=1))

    worker.jobs().daily(scenario.wall().date())
    assert recorder.made("sqs:SendMessage", "daily-sizing") == 3
    recorder.calls.clear()
    scenario.drain(Queue.DAILY_SIZING, worker=worker)

    # Of a batch's writes each counts as it does alone.
    alone = recorder.made("dynamodb:PutItem", "storage-usage-daily")
    assert alone + recorder.made("dynamodb:PartiQLInsert", "storage-usage-daily") == 30
    # The bill reckons one receipt a message and a tenth of a deletion; fewer is well.
    polls = recorder.made("sqs:ReceiveMessage", "daily-sizing")
    assert recorder.made("sqs:DeleteMessage", "daily-sizing") <= 30
    assert polls > 0
