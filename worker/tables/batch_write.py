"""Conditional updates of many items, twenty-five a call, each for itself."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import ClientError

from worker.tables.conditions import condition_failed
from worker.tables.statements import MOST_STATEMENTS, update

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        BatchStatementRequestTypeDef,
        UpdateItemInputTypeDef,
    )

_log = structlog.get_logger()


def update_each(dynamodb: DynamoDBClient, updates: Iterable[UpdateItemInputTypeDef]) -> None:
    """Make each update whose condition holds, and pass over the others.

    What a batch did not do, for whatever reason, is done again by the ordinary call.

    Args:
        dynamodb: the client.
        updates: of different items, each with a condition.

    Raises:
        botocore.exceptions.ClientError: DynamoDB refused one; others may be made.
        botocore.exceptions.BotoCoreError: it did not answer; likewise.
    """
    rest = iter(updates)
    while some := list(itertools.islice(rest, MOST_STATEMENTS)):
        for left in _undone(dynamodb, some):
            try:
                dynamodb.update_item(**left)
            except ClientError as error:
                if not condition_failed(error):
                    raise


def _undone(
    dynamodb: DynamoDBClient, updates: Sequence[UpdateItemInputTypeDef]
) -> Sequence[UpdateItemInputTypeDef]:
    """Try a batch; what it did not surely do."""
    statements: list[BatchStatementRequestTypeDef] = [
        {"Statement": statement.text, "Parameters": statement.parameters}
        for asked in updates
        if (statement := update(asked)) is not None
    ]
    if len(updates) == 1 or len(statements) < len(updates):
        return updates
    try:
        answers = dynamodb.batch_execute_statement(Statements=statements)["Responses"]
    except ClientError as error:
        _log.warning(
            "a batch was refused, it is done singly", action="batch_refused", error=str(error)
        )
        return updates
    return [asked for asked, answer in zip(updates, answers, strict=True) if answer.get("Error")]
