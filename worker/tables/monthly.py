"""Storage by customer and month, and its billing: ``siftbeam-storage-usage-monthly``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from producers.instant import epoch_seconds, format_instant
from worker import expressions
from worker.tables.attributes import RowReader, number, text
from worker.tables.conditions import condition_failed
from worker.tables.daily import BillingStatus, kept_until

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UniversalAttributeValueTypeDef

    from producers.billing_month import BillingMonth
    from worker.tables.attributes import ReadAttributes
    from worker.usage import MonthFigures

STATUS_INDEX = "billingStatus-month-index"
_KEPT_YEARS = 5


class MeterStatus(StrEnum):
    """What became of the month's meter event."""

    SUCCESS = "success"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyRow:
    """A customer's month as people read it.

    Args:
        customer_id: the customer.
        month: the billing month.
        figures: average, peak, sum (bytes) and days.
        billing_status: where the row stands.
        meter_status: what became of the event.
        amount: bytes that were, or are to be, sent.
        event_id: the identifier sent; None where nothing was.
        sent_at: when Stripe was known to have it.
        calculated_at: when the figures were frozen.
        notes: what a reader has to know; None where there is nothing.
        fence: of the ledger item that the row follows; None for a row of another system.
    """

    customer_id: str
    month: BillingMonth
    figures: MonthFigures
    billing_status: BillingStatus
    meter_status: MeterStatus
    amount: int
    calculated_at: datetime
    event_id: str | None = None
    sent_at: datetime | None = None
    notes: str | None = None
    fence: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a monthly row says of itself before it is written anew."""

    billing_status: str | None
    event_id: str | None
    fence: int | None
    notes: str | None = None


class MonthlyTable:
    """Reads and writes monthly rows.

    Args:
        dynamodb: the client.
        table: the table's name.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def standing(self, customer_id: str, month: BillingMonth) -> Standing | None:
        """What the row says, by a strongly consistent read; None where there is none."""
        answer = self._dynamodb.get_item(
            TableName=self._table,
            Key={"customerId": text(customer_id), "billingMonth": text(str(month))},
            ConsistentRead=True,
        )
        row = answer.get("Item")
        return None if row is None else self._read(row, customer_id, month)

    def noted(self, month: BillingMonth) -> dict[str, str]:
        """The notes of a month's rows, by customer, from the index: eventually consistent."""
        found: dict[str, str] = {}
        for status in BillingStatus:
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=STATUS_INDEX,
                KeyConditionExpression=expressions.MONTHLY_AT,
                FilterExpression=expressions.MONTHLY_HAS_NOTES,
                ProjectionExpression="customerId, notes",
                ExpressionAttributeValues={":status": text(status), ":month": text(str(month))},
            )
            for page in pages:
                found.update(
                    (row["customerId"]["S"], row["notes"]["S"])
                    for row in page["Items"]
                    if "S" in row["notes"]
                )
        return found

    def _read(self, row: ReadAttributes, customer_id: str, month: BillingMonth) -> Standing:
        reader = RowReader(row, f"{self._table} {customer_id} {month}")
        return Standing(
            billing_status=reader.text_or_none("billingStatus"),
            event_id=reader.text_or_none("stripeMeterEventId"),
            fence=reader.number_or_none("ledgerFence"),
            notes=reader.text_or_none("notes"),
        )

    def write(self, row: MonthlyRow) -> bool:
        """Write a row that follows the ledger; returns False where one followed as far already.

        A ``pending`` row is written only where none has left ``pending``.
        """
        pending = row.billing_status is BillingStatus.PENDING
        condition = expressions.MONTHLY_IS_OPEN if pending else expressions.MONTHLY_FOLLOWS
        values: dict[str, UniversalAttributeValueTypeDef] = (
            {":pending": text(BillingStatus.PENDING)}
            if pending
            else {":fence": number(row.fence or 0)}
        )
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=_encode(row),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def note(self, customer_id: str, month: BillingMonth, fence: int, notes: str) -> None:
        """Write a row's notes anew, if it still follows the same fence."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"customerId": text(customer_id), "billingMonth": text(str(month))},
                UpdateExpression=expressions.MONTHLY_NOTE,
                ConditionExpression=expressions.MONTHLY_FOLLOWED,
                ExpressionAttributeValues={":notes": text(notes), ":fence": number(fence)},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise


def _encode(row: MonthlyRow) -> dict[str, UniversalAttributeValueTypeDef]:
    attributes: dict[str, UniversalAttributeValueTypeDef] = {
        "customerId": text(row.customer_id),
        "billingMonth": text(str(row.month)),
        "averageStorageBytes": number(row.figures.average),
        "peakStorageBytes": number(row.figures.peak),
        "totalStorageDays": number(row.figures.days),
        "dailyUsageSum": number(row.figures.total),
        "stripeMeterStatus": text(row.meter_status),
        "stripeMeterAmount": number(row.amount),
        "calculatedAt": text(format_instant(row.calculated_at)),
        "billingStatus": text(row.billing_status),
        "ttl": number(epoch_seconds(kept_until(row.month.last_day, _KEPT_YEARS))),
    }
    if row.event_id is not None:
        attributes["stripeMeterEventId"] = text(row.event_id)
    if row.sent_at is not None:
        attributes["stripeMeterSentAt"] = text(format_instant(row.sent_at))
    if row.notes is not None:
        attributes["notes"] = text(row.notes)
    if row.fence is not None:
        attributes["ledgerFence"] = number(row.fence)
    return attributes
