"""Storage by customer and day: ``siftbeam-storage-usage-daily``."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from producers.billing_month import BillingMonth
from producers.instant import epoch_seconds, format_instant
from worker import expressions
from worker.tables.attributes import MalformedRow, number, text
from worker.tables.batch_write import update_each
from worker.tables.conditions import condition_failed
from worker.tables.daily_row import BillingStatus, DailyRow, read_row
from worker.usage import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        UniversalAttributeValueTypeDef,
        UpdateItemInputTypeDef,
    )

    from worker.usage import Measure

__all__ = [
    "MONTH_INDEX",
    "STATUS_INDEX",
    "BillingStatus",
    "DailyRow",
    "DailyTable",
    "Mark",
    "kept_until",
]

MONTH_INDEX = "billingMonth-index"
STATUS_INDEX = "billingStatus-date-index"
_KEPT_YEARS = 2


@dataclass(frozen=True, slots=True)
class Mark:
    """What a ledger item says about its rows.

    Args:
        status: billed or failed.
        fence: the item's.
        event_id: the identifier sent; None where nothing was sent.
        sent_at: when Stripe was known to have it.
    """

    status: BillingStatus
    fence: int
    event_id: str | None = None
    sent_at: datetime | None = None


class DailyTable:
    """Reads and writes daily rows.

    Args:
        dynamodb: the client.
        table: the table's name.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def record(self, customer_id: str, day: date, measure: Measure, measured_at: datetime) -> bool:
        """Write a day's measure; returns False where a row stands that it may not replace.

        That is a row that has left ``pending``, and, for a measure taken on another day than the
        row's, one that was measured on its own day. Such a late measure is marked ``measuredOn``,
        and ``measuredFrom`` says whether it is what there was (``versions``) or what there is
        (``objects``); the first is never replaced by the second.
        """
        usage = measure.usage
        row: dict[str, UniversalAttributeValueTypeDef] = {
            "customerId": text(customer_id),
            "date": text(day.isoformat()),
            "totalStorageBytesInput": number(usage.uploaded.total_bytes),
            "totalStorageBytesOutput": number(usage.produced.total_bytes),
            "totalStorageBytes": number(usage.total_bytes),
            "fileCountInput": number(usage.uploaded.objects),
            "fileCountOutput": number(usage.produced.objects),
            "totalFileCount": number(usage.objects),
            "billingMonth": text(str(BillingMonth(day.year, day.month))),
            "billingStatus": text(BillingStatus.PENDING),
            "calculatedAt": text(format_instant(measured_at)),
            "ttl": number(epoch_seconds(kept_until(day, _KEPT_YEARS))),
        }
        condition = expressions.DAILY_IS_OPEN
        values = {":pending": text(BillingStatus.PENDING)}
        if measured_at.astimezone(UTC).date() != day:
            row["measuredOn"] = text(measured_at.astimezone(UTC).date().isoformat())
            row["measuredFrom"] = text(measure.source)
            condition = expressions.DAILY_HAS_NO_OWN_MEASURE
            if measure.source is Source.OBJECTS:
                condition = expressions.DAILY_HAS_NO_BETTER_MEASURE
                values[":objects"] = text(Source.OBJECTS)
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=row,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def month(self, customer_id: str, month: BillingMonth) -> tuple[DailyRow, ...]:
        """A customer's rows of a month by date: strongly consistent, paged to the end.

        Raises:
            MalformedRow: a row lacks its bytes or its date makes no sense; names the row.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=expressions.DAILY_OF_MONTH,
            ExpressionAttributeNames=expressions.names_in(expressions.DAILY_OF_MONTH),
            ExpressionAttributeValues={
                ":customerId": text(customer_id),
                ":first": text(month.first_day.isoformat()),
                ":last": text(month.last_day.isoformat()),
            },
            ConsistentRead=True,
        )
        return tuple(
            read_row(row, f"{self._table} {customer_id}") for page in pages for row in page["Items"]
        )

    def has_rows(self, customer_id: str) -> bool:
        """Whether a customer has any row."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=expressions.DAILY_OF_CUSTOMER,
            ExpressionAttributeValues={":customerId": text(customer_id)},
            ProjectionExpression="customerId",
            PaginationConfig={"PageSize": 1, "MaxItems": 1},
        )
        return any(page["Items"] for page in pages)

    def whole_month(self, month: BillingMonth) -> dict[str, tuple[DailyRow, ...] | MalformedRow]:
        """Every customer's rows of a month by date, from the index: eventually consistent.

        Where a row makes no sense, what is wrong with it stands for the customer.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=MONTH_INDEX,
            KeyConditionExpression=expressions.DAILY_CUSTOMERS_OF_MONTH,
            ExpressionAttributeValues={":month": text(str(month))},
            ProjectionExpression=expressions.DAILY_READ,
            ExpressionAttributeNames=expressions.names_in(expressions.DAILY_READ),
        )
        found: dict[str, list[DailyRow]] = {}
        wrong: dict[str, MalformedRow] = {}
        first, last = month.first_day, month.last_day
        for page in pages:
            for row in page["Items"]:
                customer = row["customerId"]["S"]
                try:
                    read = read_row(row, f"{self._table} {customer}")
                except MalformedRow as error:
                    wrong[customer] = error
                    continue
                # The month is the date's; an attribute that says otherwise bills nothing.
                if first <= read.day <= last:
                    found.setdefault(customer, []).append(read)
        by_date = {
            customer: tuple(sorted(rows, key=lambda row: row.day))
            for customer, rows in found.items()
        }
        return {**by_date, **wrong}

    def of_day(self, day: date) -> Iterator[tuple[str, DailyRow]]:
        """Each customer's row of a day, from the index: eventually consistent, paged to the end.

        A row whose status changes meanwhile may come twice or, rarely, not at all.

        Raises:
            MalformedRow: a row lacks its bytes; names the row.
        """
        for status in BillingStatus:
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=STATUS_INDEX,
                KeyConditionExpression=expressions.DAILY_AT,
                ExpressionAttributeNames=expressions.names_in(expressions.DAILY_AT),
                ExpressionAttributeValues={
                    ":status": text(status),
                    ":date": text(day.isoformat()),
                },
            )
            for page in pages:
                for row in page["Items"]:
                    customer = row["customerId"]["S"]
                    yield customer, read_row(row, f"{self._table} {customer}")

    def customers(self, month: BillingMonth) -> Iterator[str]:
        """Each customer with rows in a month once, from the index, paged to the end."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=MONTH_INDEX,
            KeyConditionExpression=expressions.DAILY_CUSTOMERS_OF_MONTH,
            ExpressionAttributeValues={":month": text(str(month))},
            ProjectionExpression="customerId",
        )
        last = None
        for page in pages:
            for row in page["Items"]:
                # The index is sorted by customer, so repeats follow one another.
                customer = row["customerId"]["S"]
                if customer != last:
                    last = customer
                    yield customer

    def measured(self, customer_ids: Iterable[str], day: date) -> set[str]:
        """Which of at most a hundred customers have a row of a day; eventually consistent."""
        keys = [
            {"customerId": text(customer), "date": text(day.isoformat())}
            for customer in customer_ids
        ]
        found: set[str] = set()
        while keys:
            answer = self._dynamodb.batch_get_item(
                RequestItems={self._table: {"Keys": keys, "ProjectionExpression": "customerId"}}
            )
            found.update(row["customerId"]["S"] for row in answer["Responses"][self._table])
            unread = answer.get("UnprocessedKeys", {}).get(self._table)
            left = [] if unread is None else unread["Keys"]
            keys = [
                {"customerId": text(key["customerId"]["S"]), "date": text(key["date"]["S"])}
                for key in left
            ]
        return found

    def recorded_days(self, month: BillingMonth) -> Iterator[tuple[str, frozenset[date]]]:
        """Each customer with rows in a month and their days, from the index, paged to the end.

        A date that makes no sense is left out: billing itself complains of it.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=MONTH_INDEX,
            KeyConditionExpression=expressions.DAILY_CUSTOMERS_OF_MONTH,
            ExpressionAttributeValues={":month": text(str(month))},
            ProjectionExpression=expressions.DAILY_OPEN_FIELDS,
            ExpressionAttributeNames=expressions.names_in(expressions.DAILY_OPEN_FIELDS),
        )
        rows = (row for page in pages for row in page["Items"])
        in_month = {day.isoformat(): day for day in month.days}
        # The index is sorted by customer.
        for customer, theirs in itertools.groupby(rows, key=lambda row: row["customerId"]["S"]):
            days = frozenset(
                in_month[row["date"]["S"]] for row in theirs if row["date"]["S"] in in_month
            )
            if days:
                yield customer, days

    def mark(self, customer_id: str, days: Iterable[date], mark: Mark) -> None:
        """Let rows follow the ledger, each unless it followed as far already."""
        update_each(self._dynamodb, (self._marking(customer_id, day, mark) for day in days))

    def _marking(self, customer_id: str, day: date, mark: Mark) -> UpdateItemInputTypeDef:
        values: dict[str, UniversalAttributeValueTypeDef] = {
            ":status": text(mark.status),
            ":fence": number(mark.fence),
        }
        update = expressions.DAILY_MARK_WITHOUT_EVENT
        if mark.event_id is not None and mark.sent_at is not None:
            update = expressions.DAILY_MARK
            values[":eventId"] = text(mark.event_id)
            values[":sentAt"] = text(format_instant(mark.sent_at))
        return {
            "TableName": self._table,
            "Key": {"customerId": text(customer_id), "date": text(day.isoformat())},
            "UpdateExpression": update,
            "ConditionExpression": expressions.DAILY_FOLLOWS,
            "ExpressionAttributeValues": values,
        }


def kept_until(day: date, years: int) -> datetime:
    """Midnight UTC of the same date ``years`` on; of 1 March for a 29 February without one."""
    try:
        later = day.replace(year=day.year + years)
    except ValueError:
        later = date(day.year + years, 3, 1)
    return datetime.combine(later, time.min, tzinfo=UTC)
