"""DynamoDB three times: simulated, emulated by ministack, and AWS's DynamoDB Local."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol, cast

import boto3
from botocore.config import Config

from tests.parity.fibre import Calm, Outside
from tests.simulation.dynamodb_client import DynamoDBClient as SimulatedClient
from tests.simulation.schema import billing_tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeDefinitionTypeDef,
        CreateTableInputTypeDef,
        KeySchemaElementTypeDef,
    )

    from tests.simulation.tables import Index, Table

# 2026-11-01 00:05 UTC
START = 1_793_491_500.0


class DynamoDb(Protocol):
    """An engine with the product's tables, all empty."""

    client: DynamoDBClient

    def table(self, name: str) -> str:
        """The full name of, say, `billing-ledger`."""

    def settle(self) -> None:
        """Let the indexes catch up."""


class SimulatedDynamoDb:
    """The simulation's, in calm weather.

    Args:
        page: items a page.
    """

    def __init__(self, page: int = 1000) -> None:
        self._calm = Calm(START)
        database = billing_tables(self._calm.scheduler, self._calm.faults, self._calm.weather)
        self.inside = SimulatedClient(database, self._calm.process, page)
        self.client = cast("DynamoDBClient", Outside(self.inside, self._calm))

    def table(self, name: str) -> str:
        return f"siftbeam-{name}"

    def settle(self) -> None:
        self._calm.pass_time(1)


class ServedDynamoDb:
    """One behind an endpoint. Tables are made when first asked for, under names of their own.

    Args:
        client: its client.
    """

    def __init__(self, client: DynamoDBClient) -> None:
        self.client = client
        self._prefix = f"p{uuid.uuid4().hex[:10]}-"
        self._made: set[str] = set()

    def table(self, name: str) -> str:
        full = self._prefix + name
        if name not in self._made:
            self._made.add(name)
            _create(self.client, full, PRODUCT_TABLES[f"siftbeam-{name}"])
        return full

    def settle(self) -> None:
        """Both engines keep their indexes up to date with every write."""

    def close(self) -> None:
        """Remove the tables."""
        for name in self._made:
            self.client.delete_table(TableName=self._prefix + name)


def client_of(url: str) -> DynamoDBClient:
    """A client for an endpoint, that does not try again."""
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="ap-northeast-1"
    )
    config = Config(retries={"total_max_attempts": 1})
    client: DynamoDBClient = session.client("dynamodb", endpoint_url=url, config=config)
    return client


def _product_tables() -> dict[str, Table]:
    calm = Calm(START)
    return billing_tables(calm.scheduler, calm.faults, calm.weather).tables


PRODUCT_TABLES = _product_tables()


def _create(client: DynamoDBClient, name: str, table: Table) -> None:
    types = dict.fromkeys(table.key, "S")
    for index in table.indexes.values():
        types |= index.types
    definitions = cast(
        "list[AttributeDefinitionTypeDef]",
        [{"AttributeName": key, "AttributeType": kind} for key, kind in sorted(types.items())],
    )
    request: CreateTableInputTypeDef = {
        "TableName": name,
        "KeySchema": _schema(*table.key),
        "AttributeDefinitions": definitions,
        "BillingMode": "PAY_PER_REQUEST",
    }
    # An empty list is no list to DynamoDB.
    if table.indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _schema(*_keys(index)),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in table.indexes.values()
        ]
    client.create_table(**request)


def _keys(index: Index) -> tuple[str, ...]:
    return (index.hash_key,) if index.range_key is None else (index.hash_key, index.range_key)


def _schema(hash_key: str, *range_keys: str) -> list[KeySchemaElementTypeDef]:
    schema: list[KeySchemaElementTypeDef] = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    for key in range_keys:
        schema.append({"AttributeName": key, "KeyType": "RANGE"})  # noqa: PERF401 - typed so
    return schema
