"""Checkpoints: how far a long listing has got, so that a killed worker's successor goes on.

One item per prefix, in the ledger's table under a key that no fact has, overwritten by the next
long listing of that prefix. Short listings never come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from producers.instant import epoch_seconds, from_epoch
from worker import expressions
from worker.listing.errors import ListingFailed
from worker.tables.attributes import number, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UniversalAttributeValueTypeDef

    from worker.listing.division import Division

_UNDER_WAY = "listings-under-way"


class Overtaken(ListingFailed):
    """Another worker goes on with this listing."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a listing had got.

    Args:
        prefix: what is listed.
        day: whose measure it is.
        began_at: when the listing began, UTC.
        saved_at: when this was written, UTC.
        objects: counted so far.
        total_bytes: counted so far.
        pages: listed so far.
        percent: of the listing, by estimate; None while none can be made.
        left: what is not yet listed: keys behind the first of each pair, up to the second.
    """

    prefix: str
    day: date
    began_at: datetime
    saved_at: datetime
    objects: int
    total_bytes: int
    pages: int
    percent: int | None
    left: Sequence[tuple[str | None, str | None]]

    @classmethod
    def of(cls, division: Division, day: date, began_at: datetime, now: datetime) -> Checkpoint:
        """Where a division stands."""
        return cls(
            prefix=division.prefix,
            day=day,
            began_at=began_at,
            saved_at=now,
            objects=division.objects,
            total_bytes=division.total_bytes,
            pages=division.pages,
            percent=division.percent,
            left=tuple((stretch.after, stretch.until) for stretch in division.left),
        )


class Checkpoints:
    """Keeps them.

    Args:
        dynamodb: the client.
        table: the ledger's table.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def take_over(self, prefix: str, holder: str) -> Checkpoint | None:
        """Become the holder of a prefix's checkpoint; None where none is open."""
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(prefix),
                UpdateExpression=expressions.CHECKPOINT_TAKEN,
                ConditionExpression=expressions.CHECKPOINT_IS_OPEN,
                ExpressionAttributeValues={":holder": text(holder)},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if _is_refused(error):
                return None
            raise
        return _read(prefix, answer["Attributes"])

    def save(self, checkpoint: Checkpoint, holder: str) -> None:
        """Write one.

        Raises:
            Overtaken: the prefix's checkpoint is another's by now.
        """
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item={**_key(checkpoint.prefix), **_written(checkpoint), "heldBy": text(holder)},
                ConditionExpression=expressions.CHECKPOINT_IS_MINE,
                ExpressionAttributeValues={":holder": text(holder)},
            )
        except ClientError as error:
            if _is_refused(error):
                raise Overtaken(f"another worker lists {checkpoint.prefix} by now") from None
            raise

    def announce(self, prefix: str) -> None:
        """Let :meth:`under_way` find a prefix's checkpoint."""
        self._note(expressions.UNDER_WAY_MORE, prefix)

    def close(self, prefix: str, holder: str) -> None:
        """The measure is written: nobody goes on from this checkpoint."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(prefix),
                UpdateExpression=expressions.CHECKPOINT_CLOSED,
                ConditionExpression=expressions.CHECKPOINT_IS_MINE,
                ExpressionAttributeValues={":holder": text(holder)},
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return
        self._note(expressions.UNDER_WAY_LESS, prefix)

    def under_way(self) -> list[Checkpoint]:
        """The long listings that run now, or were left when a worker died."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key={"fact": text(_UNDER_WAY)}, ConsistentRead=True
        )
        prefixes = answer.get("Item", {}).get("prefixes", {}).get("SS", [])
        found = (
            self._dynamodb.get_item(TableName=self._table, Key=_key(prefix)).get("Item")
            for prefix in sorted(prefixes)
        )
        return [
            _read(prefix, item)
            for prefix, item in zip(sorted(prefixes), found, strict=True)
            if item is not None
        ]

    def _note(self, expression: str, prefix: str) -> None:
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"fact": text(_UNDER_WAY)},
            UpdateExpression=expression,
            ExpressionAttributeValues={":prefixes": {"SS": [prefix]}},
        )


def _key(prefix: str) -> dict[str, UniversalAttributeValueTypeDef]:
    return {"fact": text(f"listing#{prefix}")}


def _written(checkpoint: Checkpoint) -> dict[str, UniversalAttributeValueTypeDef]:
    percent = checkpoint.percent
    return {
        "day": text(checkpoint.day.isoformat()),
        "beganAt": number(epoch_seconds(checkpoint.began_at)),
        "savedAt": number(epoch_seconds(checkpoint.saved_at)),
        "objects": number(checkpoint.objects),
        "totalBytes": number(checkpoint.total_bytes),
        "pages": number(checkpoint.pages),
        **({} if percent is None else {"percent": number(percent)}),
        "leftToList": {
            "L": [
                {"L": [{"NULL": True} if key is None else {"S": key} for key in ends]}
                for ends in checkpoint.left
            ]
        },
    }


def _read(prefix: str, item: dict[str, AttributeValueTypeDef]) -> Checkpoint:
    day = date.fromisoformat(item["day"]["S"])
    return Checkpoint(
        prefix=prefix,
        day=day,
        began_at=from_epoch(int(item["beganAt"]["N"])),
        saved_at=from_epoch(int(item["savedAt"]["N"])),
        objects=int(item["objects"]["N"]),
        total_bytes=int(item["totalBytes"]["N"]),
        pages=int(item["pages"]["N"]),
        percent=int(item["percent"]["N"]) if "percent" in item else None,
        left=tuple(
            (ends["L"][0].get("S"), ends["L"][1].get("S")) for ends in item["leftToList"]["L"]
        ),
    )


def _is_refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
