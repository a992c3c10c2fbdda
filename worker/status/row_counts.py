"""Counting rows by their indexes, without reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker import expressions
from worker.tables.attributes import text
from worker.tables.daily import STATUS_INDEX, BillingStatus

if TYPE_CHECKING:
    from datetime import date

    from mypy_boto3_dynamodb import DynamoDBClient

    from producers.billing_month import BillingMonth
    from worker.names import TableNames

_MONTHLY_INDEX = "billingStatus-month-index"


class RowCounts:
    """Counts rows. An index lags its table by moments.

    Args:
        dynamodb: the client.
        names: the tables'.
    """

    def __init__(self, dynamodb: DynamoDBClient, names: TableNames) -> None:
        self._dynamodb = dynamodb
        self._names = names

    def daily(self, day: date) -> int:
        """The rows of a day, whatever their status."""
        pages = self._dynamodb.get_paginator("query").paginate
        return sum(
            page["Count"]
            for status in BillingStatus
            for page in pages(
                TableName=self._names.daily,
                IndexName=STATUS_INDEX,
                KeyConditionExpression=expressions.DAILY_AT,
                ExpressionAttributeNames=expressions.names_in(expressions.DAILY_AT),
                ExpressionAttributeValues={":status": text(status), ":date": text(str(day))},
                Select="COUNT",
            )
        )

    def monthly(self, month: BillingMonth, status: BillingStatus) -> int:
        """The rows of a month in a status."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._names.monthly,
            IndexName=_MONTHLY_INDEX,
            KeyConditionExpression=expressions.MONTHLY_AT,
            ExpressionAttributeValues={":status": text(status), ":month": text(str(month))},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def customers(self) -> int:
        """The customers in the application's table."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._names.customers, Select="COUNT"
        )
        return sum(page["Count"] for page in pages)
