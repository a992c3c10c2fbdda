"""The tables: keys, indexes, expiry, backups."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.doctor.check import DEPLOY, Check, failed, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        GlobalSecondaryIndexDescriptionTypeDef,
        KeySchemaElementTypeDef,
        TableDescriptionTypeDef,
    )

    from worker.doctor.check import Verdict
    from worker.names import TableNames

_EXPIRY = "ttl"
_USABLE = {"ACTIVE", "UPDATING"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table has to look like.

    Args:
        name: in full.
        key: its key attributes as ``name:type``, the hash key first.
        indexes: likewise, by the index's name; all of them project every attribute.
        expires: whether its rows expire by ``ttl``.
        ours: whether it is ours to keep: its history can be restored from backups alone.
    """

    name: str
    key: tuple[str, ...]
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expires: bool = False
    ours: bool = False


def shapes(names: TableNames, *, customers: bool) -> tuple[Shape, ...]:
    """The tables that billing needs; ``customers`` says whether their table is among them."""
    needed = (
        Shape(
            names.daily,
            ("customerId:S", "date:S"),
            {
                "billingMonth-index": ("billingMonth:S", "customerId:S"),
                "billingStatus-date-index": ("billingStatus:S", "date:S"),
            },
            expires=True,
            ours=True,
        ),
        Shape(
            names.monthly,
            ("customerId:S", "billingMonth:S"),
            {"billingStatus-month-index": ("billingStatus:S", "billingMonth:S")},
            expires=True,
            ours=True,
        ),
        Shape(
            names.ledger,
            ("fact:S",),
            {
                "customerEvent-timestamp-index": ("customerEvent:S", "timestamp:N"),
                "open-nextAttemptAt-index": ("openShard:S", "nextAttemptAt:N"),
            },
            ours=True,
        ),
        Shape(names.history, ("processing-historyId:S",)),
    )
    return (*needed, Shape(names.customers, ("customerId:S",))) if customers else needed


def table_checks(
    dynamodb: DynamoDBClient, names: TableNames, *, customers: bool
) -> Iterator[Check]:
    """A check per table."""
    for shape in shapes(names, customers=customers):
        yield Check(f"table {shape.name}", partial(_look, dynamodb, shape))


def _look(dynamodb: DynamoDBClient, shape: Shape) -> Iterator[Verdict]:
    try:
        table = dynamodb.describe_table(TableName=shape.name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        yield failed("there is no such table", f"set SIFTBEAM_TABLE_PREFIX, or {DEPLOY}")
        return
    yield ok(_count(shape))
    if table["TableStatus"] not in _USABLE:
        yield failed(f"the table is {table['TableStatus']}", "wait until it is ACTIVE")
    types = {part["AttributeName"]: part["AttributeType"] for part in table["AttributeDefinitions"]}
    key = _key(table["KeySchema"], types)
    if key != shape.key:
        yield failed(
            f"its key is {_words(key)} and has to be {_words(shape.key)}",
            "a key cannot be changed: save the rows, remove the table, then " + DEPLOY,
        )
    yield from _look_at_indexes(shape, table, types)
    if shape.expires:
        yield from _look_at_expiry(dynamodb, shape)
    if shape.ours:
        yield from _look_at_backups(dynamodb, shape)


def _look_at_indexes(
    shape: Shape, table: TableDescriptionTypeDef, types: Mapping[str, str]
) -> Iterator[Verdict]:
    there = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", ())}
    for name, key in shape.indexes.items():
        index = there.get(name)
        wanted = f"{_words(key)}, projecting ALL"
        if index is None:
            yield failed(
                f"it has no index {name}",
                f"add the global secondary index {name} ({wanted}) with `aws dynamodb "
                f"update-table`, or {DEPLOY}",
            )
        elif (found := _describe(index, types)) != wanted:
            yield failed(
                f"index {name} is {found} and has to be {wanted}",
                f"remove the index and add it again as {wanted}",
            )
        elif index.get("IndexStatus", "ACTIVE") not in _USABLE:
            yield failed(f"index {name} is {index['IndexStatus']}", "wait until it is ACTIVE")


def _look_at_expiry(dynamodb: DynamoDBClient, shape: Shape) -> Iterator[Verdict]:
    expiry = dynamodb.describe_time_to_live(TableName=shape.name)["TimeToLiveDescription"]
    enabled = expiry.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    attribute = expiry.get("AttributeName")
    if enabled and attribute == _EXPIRY:
        return
    command = (
        f"aws dynamodb update-time-to-live --table-name {shape.name} "
        f"--time-to-live-specification Enabled=true,AttributeName={_EXPIRY}"
    )
    if enabled:
        yield failed(
            f"rows expire by {attribute!r}, not by {_EXPIRY!r}",
            f"switch that off with Enabled=false, then: {command}",
        )
    else:
        yield failed("rows never expire: time to live is off", command)


def _look_at_backups(dynamodb: DynamoDBClient, shape: Shape) -> Iterator[Verdict]:
    """An emulator may not know of backups, and a role may not ask: then nothing is said."""
    try:
        backups = dynamodb.describe_continuous_backups(TableName=shape.name)
    except ClientError:
        return
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "DISABLED":
        yield warning(
            "point-in-time recovery is off: a table lost is lost for good",
            f"aws dynamodb update-continuous-backups --table-name {shape.name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        )


def _key(schema: Sequence[KeySchemaElementTypeDef], types: Mapping[str, str]) -> tuple[str, ...]:
    ordered = sorted(schema, key=lambda part: part["KeyType"])  # HASH comes before RANGE
    return tuple(f"{part['AttributeName']}:{types[part['AttributeName']]}" for part in ordered)


def _describe(index: GlobalSecondaryIndexDescriptionTypeDef, types: Mapping[str, str]) -> str:
    projection = index["Projection"]["ProjectionType"]
    return f"{_words(_key(index['KeySchema'], types))}, projecting {projection}"


def _words(key: Sequence[str]) -> str:
    return " + ".join(part.replace(":", " (") + ")" for part in key)


def _count(shape: Shape) -> str:
    return f"key {_words(shape.key)}" + (f", {len(shape.indexes)} indexes" if shape.indexes else "")
