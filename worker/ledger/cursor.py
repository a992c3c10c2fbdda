"""The cursors: how far Stripe's events have been read.

They lie in the ledger's table, beside the facts, under keys that no fact has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.instant import epoch_seconds, from_epoch
from worker.tables.attributes import number, text

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient


class Cursors:
    """Remembers by name how far a reader has got.

    Args:
        dynamodb: the client.
        table: the ledger's table.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def read(self, name: str) -> datetime | None:
        """Where a reader has got to, UTC; None where it never began."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key={"fact": text(_key(name))}, ConsistentRead=True
        )
        at = answer.get("Item", {}).get("at")
        return None if at is None else from_epoch(int(at["N"]))

    def move(self, name: str, at: datetime) -> None:
        """Remember where a reader has got to."""
        self._dynamodb.put_item(
            TableName=self._table,
            Item={"fact": text(_key(name)), "at": number(epoch_seconds(at))},
        )


def _key(name: str) -> str:
    return f"cursor#{name}"
