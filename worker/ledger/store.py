"""The ledger's table: every write is conditional on what was read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from producers.instant import epoch_seconds
from worker import expressions
from worker.errors import Temporary
from worker.ledger.codec import OPEN_SHARDS, customer_event, decode_item, encode_item, open_shard
from worker.ledger.corrections import Corrected
from worker.ledger.fact import FactKind, cancellation_key, correction_key
from worker.ledger.item import STUCK, LedgerItem, State
from worker.tables.attributes import number, text
from worker.tables.batch_read import read_rows
from worker.tables.conditions import condition_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UniversalAttributeValueTypeDef

    from worker.tables.attributes import ReadAttributes

_OUTCOMES = {
    State.SENT: expressions.LEDGER_SENT,
    State.PLANNED: expressions.LEDGER_PLANNED_AGAIN,
    State.UNKNOWN: expressions.LEDGER_UNKNOWN,
    State.REJECTED: expressions.LEDGER_STUCK,
}
_DECISIONS = {
    State.SENT: expressions.LEDGER_SENT,
    State.CONFIRMED: expressions.LEDGER_CLOSED,
    State.INVOICED: expressions.LEDGER_CLOSED,
    State.MANUAL: expressions.LEDGER_STUCK,
    State.REFUSED: expressions.LEDGER_STUCK,
}
OPEN_INDEX = "open-nextAttemptAt-index"
CUSTOMER_INDEX = "customerEvent-timestamp-index"
_FAILED = STUCK | {State.UNKNOWN}


class LostRace(Temporary):
    """Another worker moved the item first; nothing was written."""


class Ledger:
    """Reads and moves ledger items.

    Args:
        dynamodb: the client.
        table: the table's name.
        tokens: gives a new random token per claim, so that a claim whose answer was lost on the
            way back is known again as one's own.
        sleep: waits so many seconds, where DynamoDB reads less than it was asked for.
        failed: is told of each item that moves to where no send has succeeded, or may have not.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        *,
        tokens: Callable[[], str],
        sleep: Callable[[float], None],
        failed: Callable[[LedgerItem], None] = lambda _: None,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._tokens = tokens
        self._sleep = sleep
        self._failed = failed

    def find(self, key: str) -> LedgerItem | None:
        """The item of a fact, by a strongly consistent read; None where there is none."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key={"fact": text(key)}, ConsistentRead=True
        )
        item = answer.get("Item")
        return None if item is None else decode_item(item)

    def rows(self, keys: Iterable[str], fields: str | None = None) -> dict[str, ReadAttributes]:
        """The items of many facts as they are stored, by key; :func:`decode_item` reads one."""
        table, sleep = self._table, self._sleep
        return read_rows(self._dynamodb, table, "fact", keys, sleep=sleep, fields=fields)

    def existing(self, keys: Iterable[str]) -> dict[str, tuple[State, str | None]]:
        """State and last error of those facts that the ledger has; strongly consistent reads."""
        return {
            key: (State(row["state"]["S"]), row.get("lastError", {}).get("S"))
            for key, row in self.rows(keys, expressions.LEDGER_STANDING).items()
        }

    def corrected(self, item: LedgerItem) -> Corrected:
        """A fact with its corrections, and the cancellation of its current generation's event.

        By strongly consistent reads.
        """
        corrections: list[LedgerItem] = []
        while (found := self.find(correction_key(item.fact.key, len(corrections) + 1))) is not None:
            corrections.append(found)
        return Corrected(item, tuple(corrections), self.find(cancellation_key(item.identifier)))

    def freeze(self, item: LedgerItem) -> LedgerItem:
        """Write a fact's first item, unless there is one already; returns the one that stands."""
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=encode_item(item),
                ConditionExpression=expressions.LEDGER_IS_NEW,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            return decode_item(self._standing(error, item.fact.key))
        return item

    def revive(self, skipped: LedgerItem, fresh: LedgerItem) -> LedgerItem:
        """Replace a skipped fact by a new one, if it still stands as it was seen.

        Raises:
            LostRace: it was moved meanwhile.
        """
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=encode_item(fresh),
                ConditionExpression=expressions.LEDGER_IS_SKIPPED,
                ExpressionAttributeNames=expressions.names_in(expressions.LEDGER_IS_SKIPPED),
                ExpressionAttributeValues={
                    ":skipped": text(State.SKIPPED),
                    ":seenFence": number(skipped.fence),
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not decode_item(self._standing(error, fresh.fact.key)).stands_as(fresh):
                raise LostRace(f"{fresh.fact.key}: it was moved meanwhile") from None
        return fresh

    def claim(self, seen: LedgerItem, wanted: LedgerItem) -> LedgerItem:
        """Move an item to ``sending`` if it still is as it was seen; returns it as it stands.

        Raises:
            LostRace: another worker was first.
        """
        token = self._tokens()
        standing = self._move(
            seen,
            wanted,
            update=expressions.LEDGER_CLAIM,
            condition=expressions.LEDGER_AS_READ,
            extra={
                ":claimedBy": text(token),
                ":seenState": text(seen.state),
                ":generation": number(seen.generation),
            },
        )
        if standing is not None and standing.get("claimedBy", {}).get("S") != token:
            raise LostRace(f"{seen.fact.key}: another worker claimed it first")
        return wanted

    def record(self, held: LedgerItem, wanted: LedgerItem) -> LedgerItem:
        """Write what became of a claimed attempt, if the claim is still the latest.

        Raises:
            LostRace: the claim ran out and another worker has taken over.
        """
        standing = self._move(
            held,
            wanted,
            update=_OUTCOMES[wanted.state],
            condition=expressions.LEDGER_CLAIM_HELD,
            extra={":sending": text(State.SENDING)},
        )
        # Our own write whose answer was lost stands there just as we wanted it.
        if standing is not None and not decode_item(standing).stands_as(wanted):
            raise LostRace(f"{held.fact.key}: the claim ran out and another worker took over")
        return wanted

    def decide(self, seen: LedgerItem, wanted: LedgerItem) -> LedgerItem:
        """Move an item that nobody holds a claim on, if it still is as it was seen.

        Raises:
            LostRace: it was moved meanwhile, otherwise than wanted.
        """
        if wanted.generation != seen.generation:
            update = expressions.LEDGER_RESENT
        elif wanted.retries != seen.retries:
            update = expressions.LEDGER_HELD_BACK
        elif wanted.state is seen.state:
            told = wanted.next_attempt_at is None
            update = expressions.LEDGER_TOLD if told else expressions.LEDGER_LATER
        else:
            update = _DECISIONS[wanted.state]
        standing = self._move(
            seen,
            wanted,
            update=update,
            condition=expressions.LEDGER_AS_READ,
            extra={
                ":seenState": text(seen.state),
                ":generation": number(seen.generation),
            },
        )
        if standing is not None and not decode_item(standing).stands_as(wanted):
            raise LostRace(f"{seen.fact.key}: it was moved meanwhile")
        return wanted

    def stamped_between(
        self, customer_id: str, kind: FactKind, start: datetime, end: datetime
    ) -> Iterator[LedgerItem]:
        """A customer's items of one kind, stamped from ``start`` to before ``end``.

        By timestamp, paged to the end. The index lags the table by moments.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=CUSTOMER_INDEX,
            KeyConditionExpression=expressions.LEDGER_OF_CUSTOMER,
            ExpressionAttributeNames=expressions.names_in(expressions.LEDGER_OF_CUSTOMER),
            ExpressionAttributeValues={
                ":customerEvent": text(customer_event(customer_id, kind)),
                ":first": number(epoch_seconds(start)),
                ":last": number(epoch_seconds(end) - 1),
            },
        )
        for page in pages:
            for item in page["Items"]:
                yield decode_item(item)

    def rows_stamped_between(
        self, start: datetime, end: datetime, fields: str | None = None
    ) -> Iterator[ReadAttributes]:
        """Every item stamped in ``[start, end)`` as it is stored, in no order.

        Reads the whole ledger, whatever the ``fields`` (a projection; None gives whole items).
        """
        scan = partial(
            self._dynamodb.get_paginator("scan").paginate,
            TableName=self._table,
            FilterExpression=expressions.LEDGER_STAMPED,
            ExpressionAttributeNames=expressions.names_in(expressions.LEDGER_STAMPED),
            ExpressionAttributeValues={
                ":first": number(epoch_seconds(start)),
                ":last": number(epoch_seconds(end) - 1),
            },
        )
        for page in scan() if fields is None else scan(ProjectionExpression=fields):
            yield from page["Items"]

    def waiting(self, due_by: datetime | None) -> Iterator[LedgerItem]:
        """The open items that are due by an instant, or all of them; paged to the end.

        The index lags the table by moments: whoever acts on an item reads it again.
        """
        for shard in OPEN_SHARDS:
            values: dict[str, UniversalAttributeValueTypeDef] = {":shard": text(shard)}
            condition = expressions.LEDGER_OPEN
            if due_by is not None:
                condition = expressions.LEDGER_DUE
                values[":now"] = number(epoch_seconds(due_by))
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=OPEN_INDEX,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
            for page in pages:
                for item in page["Items"]:
                    yield decode_item(item)

    def _move(
        self,
        seen: LedgerItem,
        wanted: LedgerItem,
        *,
        update: str,
        condition: str,
        extra: dict[str, UniversalAttributeValueTypeDef],
    ) -> ReadAttributes | None:
        """Apply one transition; returns None if it was applied, else the item in the way."""
        values = {**_values(update, wanted), **extra, ":seenFence": number(seen.fence)}
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"fact": text(seen.fact.key)},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=expressions.names_in(update, condition),
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            return self._standing(error, seen.fact.key)
        if wanted.state in _FAILED and wanted.state is not seen.state:
            self._failed(wanted)
        return None

    def _standing(self, error: ClientError, key: str) -> ReadAttributes:
        """The item that failed a condition; raises any other error again."""
        if not condition_failed(error):
            raise error
        # botocore carries the item in the error, where its types do not know of it.
        there = cast("ReadAttributes | None", error.response.get("Item"))
        if there is None:
            there = self._dynamodb.get_item(
                TableName=self._table, Key={"fact": text(key)}, ConsistentRead=True
            ).get("Item")
        if there is None:
            raise LostRace(f"{key}: the ledger item is gone")
        return there


def _values(update: str, item: LedgerItem) -> dict[str, UniversalAttributeValueTypeDef]:
    """The values that an update expression names, taken from the item it leads to."""
    every: dict[str, str | int | datetime | None] = {
        ":state": item.state,
        ":fence": item.fence,
        ":attempts": item.attempts,
        ":retries": item.retries,
        ":claimUntil": item.claim_until,
        ":firstAttemptAt": item.first_attempt_at,
        ":nextAttemptAt": item.next_attempt_at,
        ":sentAt": item.sent_at,
        ":lastError": item.last_error,
        ":account": item.fact.account.id,
        ":nextGeneration": item.generation,
        ":identifier": item.identifier,
        ":openShard": open_shard(item.fact.key),
    }
    words = set(update.replace(",", " ").split())
    return {name: _attribute(value) for name, value in every.items() if name in words}


def _attribute(value: str | int | datetime | None) -> UniversalAttributeValueTypeDef:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return number(value)
    if value is None:
        return {"NULL": True}
    return number(epoch_seconds(value))
