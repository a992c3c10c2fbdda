"""The application's processing runs: ``siftbeam-processing-history``.

We add to its rows, never overwrite them and never make one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from producers.instant import NotAnInstant, from_epoch, parse_instant
from worker import expressions
from worker.tables.attributes import MalformedRow, RowReader, number, text
from worker.tables.batch_read import read_rows
from worker.tables.conditions import condition_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from worker.tables.attributes import ReadAttributes

KEY = "processing-historyId"
COMPLETED = frozenset({"completed", "success"})
ENDED_UNBILLED = frozenset({"failed", "canceled", "cancelled"})


def skip_reason(status: str) -> str:
    """Why the ledger skips a run that ended without something to bill."""
    return f"the run has {status}"


# A fact with one of these may be made anew: the run may be run again under its id.
SKIP_REASONS = frozenset(skip_reason(status) for status in ENDED_UNBILLED)
_SEGMENTS = 4
_MILLISECOND_STAMPS_FROM = 10**11


@dataclass(frozen=True, slots=True)
class Run:
    """A processing run as the application wrote it.

    Args:
        run_id: the processing-history id.
        customer_id: whose; None where the row does not say.
        status: the application's word; None where the row does not say.
        row: all of it.
    """

    run_id: str
    customer_id: str | None
    status: str | None
    row: RowReader

    @property
    def stripe_error(self) -> str | None:
        """What was noted of Stripe's refusals; None where nothing is."""
        return self.row.text_or_none("stripeMeterError")

    def usage_bytes(self) -> int | None:
        """The bytes that a client said the run used; None where the row does not say.

        Raises:
            MalformedRow: they are no whole number, or below zero.
        """
        usage = self.row.number_or_none("usageAmountBytes")
        if usage is not None and usage < 0:
            raise MalformedRow(f"run {self.run_id}: usageAmountBytes is below zero; mend the row")
        return usage


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """A completed run, as a sweep finds it.

    Args:
        run_id: the processing-history id.
        customer_id: whose; None where the row does not say.
        completed_at: when, as the row says; None where it does not.
        created_at: when it began, likewise.
    """

    run_id: str
    customer_id: str | None
    completed_at: datetime | None
    created_at: datetime | None


class HistoryTable:
    """Reads runs, and notes on them what Stripe said.

    Args:
        dynamodb: the client.
        table: the table's name.
        sleep: waits so many seconds, where DynamoDB reads less than it was asked for.
    """

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, *, sleep: Callable[[float], None]
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._sleep = sleep

    def find(self, run_id: str) -> Run | None:
        """A run, by a strongly consistent read; None where there is no row."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key={KEY: text(run_id)}, ConsistentRead=True
        )
        row = answer.get("Item")
        return None if row is None else self.decode(run_id, row)

    def rows(self, run_ids: Iterable[str]) -> dict[str, ReadAttributes]:
        """The rows of many runs as they are stored, by run; :meth:`decode` reads one."""
        return read_rows(self._dynamodb, self._table, KEY, run_ids, sleep=self._sleep)

    def decode(self, run_id: str, row: ReadAttributes) -> Run:
        """A run from its row.

        Raises:
            MalformedRow: an attribute has another type.
        """
        reader = RowReader(row, f"{self._table} {run_id}")
        return Run(run_id, reader.text_or_none("customerId"), reader.text_or_none("status"), reader)

    def note_error(self, run_id: str, fence: int, error: str) -> None:
        """Write ``stripeMeterError``, unless the row followed the ledger further already."""
        self._follow(run_id, fence, expressions.HISTORY_ERROR, error)

    def clear_error(self, run_id: str, fence: int) -> None:
        """Remove ``stripeMeterError``, unless the row followed the ledger further already."""
        self._follow(run_id, fence, expressions.HISTORY_NO_ERROR, None)

    def completed(self) -> Iterator[CompletedRun]:
        """Every completed run, paged to the end, read in parallel segments."""
        with ThreadPoolExecutor(_SEGMENTS, thread_name_prefix="sweep") as pool:
            pages = [self._pages(segment) for segment in range(_SEGMENTS)]
            while pages:
                # One page of each segment at a time: memory stays bounded.
                for segment, page in zip(list(pages), pool.map(_next, list(pages)), strict=True):
                    if page is None:
                        pages.remove(segment)
                    else:
                        yield from page

    def _pages(self, segment: int) -> Iterator[list[CompletedRun]]:
        paginator = self._dynamodb.get_paginator("scan")
        for page in paginator.paginate(
            TableName=self._table,
            Segment=segment,
            TotalSegments=_SEGMENTS,
            FilterExpression=expressions.HISTORY_COMPLETED,
            ProjectionExpression=expressions.HISTORY_FIELDS,
            ExpressionAttributeNames=expressions.names_in(
                expressions.HISTORY_COMPLETED, expressions.HISTORY_FIELDS
            ),
            ExpressionAttributeValues={
                ":completed": text("completed"),
                ":success": text("success"),
            },
        ):
            yield [_completed(row) for row in page["Items"]]

    def _follow(self, run_id: str, fence: int, update: str, error: str | None) -> None:
        values = {":fence": number(fence)}
        if error is not None:
            values[":error"] = text(error)
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={KEY: text(run_id)},
                UpdateExpression=update,
                ConditionExpression=expressions.HISTORY_FOLLOWS,
                ExpressionAttributeNames=expressions.names_in(expressions.HISTORY_FOLLOWS),
                ExpressionAttributeValues=values,
            )
        except ClientError as failure:
            if not condition_failed(failure):
                raise


def _next(pages: Iterator[list[CompletedRun]]) -> list[CompletedRun] | None:
    return next(pages, None)


def _completed(row: ReadAttributes) -> CompletedRun:
    return CompletedRun(
        run_id=row[KEY]["S"],
        customer_id=row.get("customerId", {}).get("S"),
        completed_at=_instant(row, "completedAt"),
        created_at=_instant(row, "createdAt"),
    )


def _instant(row: ReadAttributes, name: str) -> datetime | None:
    """An instant as applications write them: ISO 8601, epoch seconds or epoch milliseconds."""
    value = row.get(name, {})
    try:
        if "S" in value:
            return parse_instant(value["S"])
        if "N" in value:
            stamp = int(value["N"].split(".")[0])
            return from_epoch(stamp // 1000 if stamp >= _MILLISECOND_STAMPS_FROM else stamp)
    except (NotAnInstant, ValueError, OverflowError):
        return None
    return None
