"""``provision``: the data template, deployed to an emulator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer
from botocore.exceptions import ClientError

from infra.stack import deploy, template_path
from worker.aws import client_config, session_for
from worker.commands.opening import open_installation
from worker.commands.printing import AsJson, console, print_json
from worker.errors import Permanent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from worker.installation import Installation

STACK = "siftbeam-data"
_NO_TABLE = frozenset({"TableNotFoundException", "ResourceNotFoundException"})


class RemovedByHand(Permanent):
    """The stack stands, a part of it does not."""


def provision(as_json: AsJson = False) -> None:
    """Deploy infra/data.yaml to the emulator that AWS_ENDPOINT_URL names; again does no harm."""
    if not os.environ.get("AWS_ENDPOINT_URL"):
        raise typer.BadParameter(
            "AWS_ENDPOINT_URL is not set: this command is for emulators; `make deploy` is for AWS",
            param_hint="AWS_ENDPOINT_URL",
        )
    outputs = deploy_data(open_installation())
    if as_json:
        print_json(dict(outputs))
        return
    for name, value in outputs.items():
        console.print(f"{name} = {value}")


def deploy_data(installation: Installation) -> dict[str, str]:
    """Deploy the data stack for an installation's names; returns the stack's outputs."""
    settings = installation.settings
    client = session_for(settings).client("cloudformation", config=client_config(settings))
    outputs = deploy(
        client,
        STACK,
        template_path("data"),
        {
            "TablePrefix": settings.table_prefix,
            "QueuePrefix": settings.queue_prefix,
            "BucketName": settings.bucket,
            "OutputPrefix": settings.output_prefix,
            "StripeSecretName": settings.stripe_secret_id,
        },
    )
    tables = installation.tables
    for table in (tables.customers, tables.daily, tables.monthly, tables.history, tables.ledger):
        _ensure_backups(installation.clients.dynamodb, table)
    for table in (tables.daily, tables.monthly):
        _ensure_ttl(installation.clients.dynamodb, table)
    return dict(outputs.values)


def _ensure_backups(dynamodb: DynamoDBClient, table: str) -> None:
    """Switch on point-in-time recovery, likewise."""
    try:
        dynamodb.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _NO_TABLE:
            raise RemovedByHand(
                f"table {table} is missing although stack {STACK} stands: it was removed by hand. "
                f"Delete the stack (`aws cloudformation delete-stack --stack-name {STACK}`), then "
                "provision again"
            ) from None
        raise


def _ensure_ttl(dynamodb: DynamoDBClient, table: str) -> None:
    """Switch on the expiry that the template declares, where an emulator passed over it."""
    status = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if status.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
        dynamodb.update_time_to_live(
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
        )
