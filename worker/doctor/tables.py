"""The tables: keys, indexes, expiry, backups."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.denied import is_denied
from worker.doctor.check import Check, failed, ok, warning
from worker.doctor.shell import as_json, aws

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        GlobalSecondaryIndexDescriptionTypeDef,
        KeySchemaElementTypeDef,
        TableDescriptionTypeDef,
    )

    from worker.doctor.check import Verdict
    from worker.doctor.deployment import Deployment
    from worker.doctor.shell import JsonValue
    from worker.names import TableNames

_EXPIRY = "ttl"
_USABLE = {"ACTIVE", "UPDATING"}
_EMPTY = (
    "if it held rows, restore it from its point-in-time backup (docs/runbooks/restore-table.md); "
    "only where it never did, create it empty. "
)
_EMPTY_LEDGER = "What was billed stands in it alone: an empty one would bill everything anew. "


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table has to look like.

    Args:
        name: in full.
        key: its key attributes as ``name:type``, the hash key first.
        indexes: likewise, by the index's name; all of them project every attribute.
        expires: whether its rows expire by ``ttl``.
        ours: whether it is ours to keep: its history can be restored from backups alone.
        decides: whether it is the ledger, which says what was billed.
    """

    name: str
    key: tuple[str, ...]
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expires: bool = False
    ours: bool = False
    decides: bool = False


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
            decides=True,
        ),
        Shape(names.history, ("processing-historyId:S",)),
    )
    return (*needed, Shape(names.customers, ("customerId:S",))) if customers else needed


def table_checks(
    dynamodb: DynamoDBClient, wanted: Sequence[Shape], deployment: Deployment
) -> Iterator[Check]:
    """A check per table."""
    for shape in wanted:
        yield Check(f"table {shape.name}", partial(_look, dynamodb, shape, deployment))


def _look(dynamodb: DynamoDBClient, shape: Shape, deployment: Deployment) -> Iterator[Verdict]:
    try:
        table = dynamodb.describe_table(TableName=shape.name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        yield _missing(shape, deployment)
        return
    yield ok(_count(shape))
    if table["TableStatus"] not in _USABLE:
        yield failed(
            f"the table is {table['TableStatus']}",
            "wait until it is ACTIVE",
            aws("dynamodb", "wait", "table-exists", "--table-name", shape.name),
        )
    types = {part["AttributeName"]: part["AttributeType"] for part in table["AttributeDefinitions"]}
    key = _key(table["KeySchema"], types)
    if key != shape.key:
        yield failed(
            f"its key is {_words(key)} and has to be {_words(shape.key)}",
            "a key cannot be changed. If the table is another's, name ours by "
            "SIFTBEAM_TABLE_PREFIX; else keep a backup, remove it and create it anew, then bring "
            "its rows back",
            *_replacement(shape),
        )
        return  # its indexes come with the new one
    yield from _look_at_indexes(shape, table, types)
    if shape.expires:
        yield from _look_at_expiry(dynamodb, shape)
    if shape.ours:
        yield from _look_at_backups(dynamodb, shape)
        if table.get("DeletionProtectionEnabled") is False:
            yield warning(
                "it is not protected against deletion",
                "switch the protection on",
                aws(
                    "dynamodb",
                    "update-table",
                    "--table-name",
                    shape.name,
                    "--deletion-protection-enabled",
                ),
            )


def _missing(shape: Shape, deployment: Deployment) -> Verdict:
    deployment.expect_tables(shape.name)
    if not deployment.has_tables:
        deployment.expect_queues()
        return failed(
            "there is no such table, nor any other of ours",
            "set SIFTBEAM_TABLE_PREFIX to the data template's TablePrefix",
        )
    return failed(
        "there is no such table",
        _EMPTY
        + (_EMPTY_LEDGER if shape.decides else "")
        + "A deployment does not notice what was removed by hand",
        *_creation(shape),
    )


def _creation(shape: Shape) -> Iterator[str]:
    """The table as infra/data.yaml has it."""
    indexes: tuple[str, ...] = ()
    if shape.indexes:
        wanted = [_index(name, key) for name, key in shape.indexes.items()]
        indexes = ("--global-secondary-indexes", as_json(wanted))
    yield aws(
        "dynamodb",
        "create-table",
        "--table-name",
        shape.name,
        "--billing-mode",
        "PAY_PER_REQUEST",
        "--deletion-protection-enabled",
        "--sse-specification",
        "Enabled=true",
        "--attribute-definitions",
        *_definitions(shape.key, *shape.indexes.values()),
        "--key-schema",
        as_json(_schema(shape.key)),
        *indexes,
    )
    yield aws("dynamodb", "wait", "table-exists", "--table-name", shape.name)
    yield _backups_on(shape.name)
    if shape.expires:
        yield _expiry(shape.name, _EXPIRY, on=True)


def _replacement(shape: Shape) -> Iterator[str]:
    of = ("--table-name", shape.name)
    yield aws("dynamodb", "create-backup", *of, "--backup-name", f"{shape.name}-of-another-key")
    yield aws("dynamodb", "update-table", *of, "--no-deletion-protection-enabled")
    yield aws("dynamodb", "delete-table", *of)
    yield aws("dynamodb", "wait", "table-not-exists", *of)
    yield from _creation(shape)


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
                f"add it ({wanted}); it fills itself from the rows there are, one index at a time",
                _add(shape, name, key),
            )
        elif (found := _describe(index, types)) != wanted:
            yield failed(
                f"index {name} is {found} and has to be {wanted}",
                "remove the index and, once it is gone (`aws dynamodb describe-table`), add it "
                "again; until then the worker waits",
                _change(shape, {"Delete": {"IndexName": name}}),
                _add(shape, name, key),
            )
        elif index.get("IndexStatus", "ACTIVE") not in _USABLE:
            yield failed(
                f"index {name} is {index['IndexStatus']}",
                "wait until it is ACTIVE (`aws dynamodb describe-table`)",
            )


def _add(shape: Shape, name: str, key: Sequence[str]) -> str:
    return _change(
        shape, {"Create": _index(name, key)}, "--attribute-definitions", *_definitions(key)
    )


def _change(shape: Shape, change: JsonValue, *more: str) -> str:
    updates = ("--global-secondary-index-updates", as_json([change]))
    return aws("dynamodb", "update-table", "--table-name", shape.name, *more, *updates)


def _index(name: str, key: Sequence[str]) -> JsonValue:
    return {
        "IndexName": name,
        "KeySchema": _schema(key),
        "Projection": {"ProjectionType": "ALL"},
    }


def _schema(key: Sequence[str]) -> JsonValue:
    kinds = ("HASH", "RANGE")
    return [
        {"AttributeName": part.split(":")[0], "KeyType": kind}
        for part, kind in zip(key, kinds, strict=False)
    ]


def _definitions(*keys: Sequence[str]) -> Iterator[str]:
    for part in dict.fromkeys(part for key in keys for part in key):
        name, kind = part.split(":")
        yield f"AttributeName={name},AttributeType={kind}"


def _look_at_expiry(dynamodb: DynamoDBClient, shape: Shape) -> Iterator[Verdict]:
    expiry = dynamodb.describe_time_to_live(TableName=shape.name)["TimeToLiveDescription"]
    enabled = expiry.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    attribute = expiry.get("AttributeName", "")
    if enabled and attribute == _EXPIRY:
        return
    switch_on = _expiry(shape.name, _EXPIRY, on=True)
    if enabled:
        yield failed(
            f"rows expire by {attribute!r}, not by {_EXPIRY!r}",
            "switch that off, and an hour later, when DynamoDB takes another change, on again",
            _expiry(shape.name, attribute, on=False),
            switch_on,
        )
    else:
        yield failed("rows never expire: time to live is off", "switch it on", switch_on)


def _expiry(table: str, attribute: str, *, on: bool) -> str:
    return aws(
        "dynamodb",
        "update-time-to-live",
        "--table-name",
        table,
        "--time-to-live-specification",
        f"Enabled={str(on).lower()},AttributeName={attribute}",
    )


def _look_at_backups(dynamodb: DynamoDBClient, shape: Shape) -> Iterator[Verdict]:
    """An emulator may not know of backups: then nothing is said."""
    try:
        backups = dynamodb.describe_continuous_backups(TableName=shape.name)
    except ClientError as error:
        if is_denied(error):
            yield warning(
                f"whether {shape.name} is backed up is not known: {error.operation_name} is denied",
                f"allow dynamodb:{error.operation_name} to whoever runs doctor",
            )
        return
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "DISABLED":
        yield warning(
            "point-in-time recovery is off: a table lost is lost for good",
            "switch it on",
            _backups_on(shape.name),
        )


def _backups_on(table: str) -> str:
    return aws(
        "dynamodb",
        "update-continuous-backups",
        "--table-name",
        table,
        "--point-in-time-recovery-specification",
        "PointInTimeRecoveryEnabled=true",
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
