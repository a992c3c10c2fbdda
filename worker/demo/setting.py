"""The setting: what was there before the story begins, written as the application would."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from worker.demo.cast import CUSTOMERS, EarlierDay, earlier_days
from worker.usage import CustomerUsage, Measure, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.demo.cast import CastRun
    from worker.demo.stage import Stage

_WRITERS = 8
_NOTHING = Usage(0, 0)


def introduce_customers(stage: Stage) -> None:
    """Write the cast into the application's table of customers."""
    for customer in CUSTOMERS:
        stage.installation.clients.dynamodb.put_item(
            TableName=stage.installation.tables.customers, Item={"customerId": {"S": customer}}
        )


def days_before(stage: Stage) -> Sequence[EarlierDay]:
    """The rows of the month's earlier days, not yet written."""
    return tuple(earlier_days(stage.month))


def write_days(stage: Stage, days: Sequence[EarlierDay], done: Callable[[], object]) -> None:
    """Write rows as daily ticks would have written them, calling ``done`` after each."""

    def write(row: EarlierDay) -> None:
        day = stage.month.days[row.day - 1]
        stage.installation.daily.record(
            row.customer_id,
            day,
            Measure(CustomerUsage(uploaded=Usage(row.total_bytes, row.objects), produced=_NOTHING)),
            datetime.combine(day, time(1), tzinfo=UTC),
        )

    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="write") as pool:
        for _ in pool.map(write, days):
            done()


def complete_run(stage: Stage, run: CastRun) -> None:
    """Write a run's row into the application's history, as completed, without its bytes."""
    stage.installation.clients.dynamodb.put_item(
        TableName=stage.installation.tables.history,
        Item={
            "processing-historyId": {"S": run.run_id},
            "customerId": {"S": run.customer_id},
            "status": {"S": "completed"},
        },
    )
