"""The application's customers: key ``customerId``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.tables.attributes import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient


def table_customer_ids(dynamodb: DynamoDBClient, table: str) -> Iterator[str]:
    """The id of every customer in the table, paged to the end.

    A row whose key is empty of sense is yielded all the same: who fans out says what is wrong.
    """
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table, ProjectionExpression="customerId"
    )
    for page in pages:
        for row in page["Items"]:
            yield row["customerId"]["S"]


def has_customer(dynamodb: DynamoDBClient, table: str, customer_id: str) -> bool:
    """Whether the table has a customer, by a strongly consistent read."""
    answer = dynamodb.get_item(
        TableName=table, Key={"customerId": text(customer_id)}, ConsistentRead=True
    )
    return "Item" in answer
