"""Single reads and writes of DynamoDB, made together with those of other handlers.

A stand-in for boto3's client: what is asked of it answers or fails exactly as the client's own
``get_item``, ``put_item`` and ``update_item`` do. Reads travel by ``BatchGetItem``, writes by
``BatchExecuteStatement``, each statement with a condition and a result of its own
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.multiplestatements.batching.html).

Only a clean yes counts. What a batch did not do, for whatever reason, is done again alone, by the
ordinary call: a condition that failed, a throttled statement, a key left unread. What alone can be
done twice without harm is conditional, so this changes nothing; and the ordinary call's retries,
errors and returned items are the only ones there are.
"""

from __future__ import annotations

import copy
import itertools
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack, cast

import structlog
from botocore.exceptions import BotoCoreError

from worker.gathering import LONGEST_PAUSE_SECONDS, Gathering, ThreadSignal
from worker.tables.attributes import text
from worker.tables.statements import MOST_STATEMENTS, Statement, insertion, update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        BatchStatementRequestTypeDef,
        GetItemInputTypeDef,
        PutItemInputTypeDef,
        UniversalAttributeValueTypeDef,
        UpdateItemInputTypeDef,
    )

    from worker.gathering import Member, Signal

    Item = Mapping[str, AttributeValueTypeDef]

_log = structlog.get_logger()
MOST_KEYS = 100
# The ordinary ends of a conditional write.
_REFUSED = frozenset({"ConditionalCheckFailed", "DuplicateItem"})
# The values of an item's key; all our keys are text.
ItemKey: TypeAlias = "tuple[str, ...]"


@dataclass(frozen=True, slots=True)
class Read:
    """One item, by a strongly consistent read."""

    table: str
    key: ItemKey


@dataclass(frozen=True, slots=True)
class Write:
    """One conditional write, as the statement that stands for it."""

    table: str
    key: ItemKey
    statement: Statement


@dataclass(frozen=True, slots=True)
class Told:
    """What a batch did: ``item`` of a read that was done, ``error`` where no answer came."""

    done: bool = False
    item: Item | None = None
    error: BotoCoreError | None = None


_ALONE = Told()
# Table, key and consistency: without a projection, which a batch would not share.
_PLAIN_READ = 3
One = TypeVar("One")


class DynamoDBTogether:
    """DynamoDB's client, for handlers that work side by side.

    Args:
        dynamodb: boto3's client.
        keys: each table's key attributes. What goes to other tables goes alone.
        pause: the longest that one handler waits for the others, in seconds.
        monotonic: seconds that pass.
        signal: makes what a handler waits for.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        keys: Mapping[str, Sequence[str]],
        *,
        pause: float = LONGEST_PAUSE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        signal: Callable[[], Signal] = ThreadSignal,
    ) -> None:
        self._dynamodb = dynamodb
        self._keys = keys
        self._pause = pause
        self._monotonic = monotonic
        self._signal = signal
        self._gatherings: dict[str, Gathering[Read | Write, Told]] = {}
        self._present: ContextVar[Member[Read | Write, Told] | None] = ContextVar(
            "member", default=None
        )
        self._lock = threading.Lock()

    @property
    def get_paginator(self) -> object:
        """Pages are each caller's own."""
        return self._dynamodb.get_paginator

    @property
    def batch_get_item(self) -> object:
        """So is a batch that is one already."""
        return self._dynamodb.batch_get_item

    @property
    def batch_execute_statement(self) -> object:
        """And a batch of writes."""
        return self._dynamodb.batch_execute_statement

    def expect(self, circle: str) -> None:
        """One more is about to work in a circle."""
        self._gathering(circle).expect()

    def excuse(self, circle: str) -> None:
        """One who was expected does not come."""
        self._gathering(circle).excuse()

    @contextmanager
    def member(self, circle: str) -> Iterator[None]:
        """Ask together with whoever else works in the same circle."""
        with self._gathering(circle).member() as member:
            token = self._present.set(member)
            try:
                yield
            finally:
                self._present.reset(token)

    def get_item(self, **asked: Unpack[GetItemInputTypeDef]) -> Mapping[str, object]:
        """``GetItem``."""
        table = asked["TableName"]
        told = _ALONE
        if table in self._keys and asked.get("ConsistentRead") and len(asked) == _PLAIN_READ:
            told = self._ask(Read(table, self._key(table, asked["Key"])))
        if not told.done:
            return self._dynamodb.get_item(**asked)
        return {} if told.item is None else {"Item": told.item}

    def put_item(self, **asked: Unpack[PutItemInputTypeDef]) -> Mapping[str, object]:
        """``PutItem``."""
        if self._written(asked["TableName"], asked["Item"], insertion(asked)):
            return {}
        return self._dynamodb.put_item(**asked)

    def update_item(self, **asked: Unpack[UpdateItemInputTypeDef]) -> Mapping[str, object]:
        """``UpdateItem``."""
        if self._written(asked["TableName"], asked["Key"], update(asked)):
            return {}
        return self._dynamodb.update_item(**asked)

    def _written(
        self,
        table: str,
        attributes: Mapping[str, UniversalAttributeValueTypeDef],
        statement: Statement | None,
    ) -> bool:
        if statement is None or table not in self._keys:
            return False
        return self._ask(Write(table, self._key(table, attributes), statement)).done

    def _ask(self, asked: Read | Write) -> Told:
        member = self._present.get()
        if member is None:
            return _ALONE
        told = member.ask(asked)
        if told.error is not None:
            # A copy for each: a traceback is written as an error is raised.
            raise copy.copy(told.error)
        return told

    def _perform(self, asked: Sequence[Read | Write]) -> Sequence[Told]:
        """Do what can be done together; what is alone of its kind is left to who asked."""
        told = dict.fromkeys(range(len(asked)), _ALONE)
        reads = {n: one for n, one in enumerate(asked) if isinstance(one, Read)}
        for some in _by(MOST_KEYS, reads):
            told |= _tried(self._read, some)
        for writes in _by(MOST_STATEMENTS, _first_of_each_item(asked)):
            told |= _tried(self._write, writes)
        return [told[number] for number in range(len(asked))]

    def _read(self, reads: Mapping[int, Read]) -> dict[int, Told]:
        wanted: dict[str, set[ItemKey]] = {}
        for read in reads.values():
            wanted.setdefault(read.table, set()).add(read.key)
        answer = self._dynamodb.batch_get_item(
            RequestItems={
                table: {
                    "Keys": [self._named(table, key) for key in sorted(keys)],
                    "ConsistentRead": True,
                }
                for table, keys in wanted.items()
            }
        )
        unread = {
            (table, self._key(table, key))
            for table, left in answer.get("UnprocessedKeys", {}).items()
            for key in left["Keys"]
        }
        found = {
            (table, self._key(table, item)): item
            for table, items in answer["Responses"].items()
            for item in items
        }
        return {
            number: Told(done=True, item=found.get((read.table, read.key)))
            for number, read in reads.items()
            if (read.table, read.key) not in unread
        }

    def _write(self, writes: Mapping[int, Write]) -> dict[int, Told]:
        statements: list[BatchStatementRequestTypeDef] = [
            {"Statement": write.statement.text, "Parameters": write.statement.parameters}
            for write in writes.values()
        ]
        answers = self._dynamodb.batch_execute_statement(Statements=statements)["Responses"]
        told: dict[int, Told] = {}
        for (number, write), answer in zip(writes.items(), answers, strict=True):
            code = answer["Error"].get("Code", "") if "Error" in answer else None
            told[number] = Told(done=code is None)
            if code is not None and code not in _REFUSED:
                _log.info(
                    "a statement of a batch failed, it is done alone",
                    action="statement_alone",
                    table=write.table,
                    code=code,
                )
        return told

    def _gathering(self, circle: str) -> Gathering[Read | Write, Told]:
        with self._lock:
            if circle not in self._gatherings:
                self._gatherings[circle] = Gathering(
                    self._perform,
                    pause=self._pause,
                    monotonic=self._monotonic,
                    signal=self._signal,
                )
            return self._gatherings[circle]

    def _key(self, table: str, attributes: Mapping[str, UniversalAttributeValueTypeDef]) -> ItemKey:
        texts = cast("Mapping[str, Mapping[str, str]]", attributes)
        return tuple(texts[name]["S"] for name in self._keys[table])

    def _named(self, table: str, key: ItemKey) -> dict[str, UniversalAttributeValueTypeDef]:
        return {name: text(value) for name, value in zip(self._keys[table], key, strict=True)}


def _tried(
    batch: Callable[[Mapping[int, One]], dict[int, Told]], asked: Mapping[int, One]
) -> dict[int, Told]:
    """What a batch came to; what was refused as a whole may be half done, and is done singly.

    It is refused for a permission that is missing, for more than can be had now, or for one of them
    that makes no sense: alone, only that one fails.
    """
    try:
        return batch(asked)
    except BotoCoreError as error:
        return dict.fromkeys(asked, Told(error=error))
    except Exception as error:  # noqa: BLE001 - who is at fault will meet it alone
        _log.warning(
            "a batch was refused, it is done singly", action="batch_refused", error=str(error)
        )
        return dict.fromkeys(asked, _ALONE)


def _first_of_each_item(asked: Sequence[Read | Write]) -> dict[int, Write]:
    """The first write of each item: a batch may name an item once. The others go alone, later."""
    first: dict[tuple[str, ItemKey], int] = {}
    writes = {n: one for n, one in enumerate(asked) if isinstance(one, Write)}
    for number, write in writes.items():
        first.setdefault((write.table, write.key), number)
    return {number: writes[number] for number in first.values()}


def _by(most: int, numbered: Mapping[int, One]) -> Iterator[dict[int, One]]:
    """So many at a time; one that is left over by itself gains nothing by a batch, and is not."""
    rest = iter(numbered.items())
    while len(some := dict(itertools.islice(rest, most))) > 1:
        yield some
