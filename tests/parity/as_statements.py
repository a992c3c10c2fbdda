"""A client whose conditional writes travel as PartiQL statements first, as the worker's do."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from worker.tables.statements import insertion, update

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        BatchStatementRequestTypeDef,
        PutItemInputTypeDef,
        UpdateItemInputTypeDef,
    )

    from worker.tables.statements import Statement

_ORDINARY = frozenset({"ConditionalCheckFailed", "DuplicateItem"})


class AsStatements:
    """Does each write as a statement, and again as the ordinary call where that failed.

    Args:
        client: of an engine.
        refuses_or: whether the engine takes no condition with OR.
    """

    def __init__(self, client: DynamoDBClient, *, refuses_or: bool) -> None:
        self._client = client
        self._refuses_or = refuses_or
        self.done = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def put_item(self, **asked: object) -> object:
        put = cast("PutItemInputTypeDef", asked)
        return {} if self._done(insertion(put)) else self._client.put_item(**put)

    def update_item(self, **asked: object) -> object:
        wanted = cast("UpdateItemInputTypeDef", asked)
        return {} if self._done(update(wanted)) else self._client.update_item(**wanted)

    def _done(self, statement: Statement | None) -> bool:
        if statement is None:
            return False
        one: BatchStatementRequestTypeDef = {
            "Statement": statement.text,
            "Parameters": list(statement.parameters),
        }
        told = self._client.batch_execute_statement(Statements=[one])["Responses"][0]
        if "Error" in told:
            code = told["Error"].get("Code")
            known = code in _ORDINARY or (self._refuses_or and " OR " in statement.text)
            assert known, (statement, told)
            return False
        self.done += 1
        return True
