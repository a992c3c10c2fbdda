"""A client whose conditional writes travel as PartiQL statements first, as the worker's do."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from worker.tables.statements import insertion, update

if TYPE_CHECKING:
    from collections.abc import Callable

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
        return self._tried(insertion(put), lambda: self._client.put_item(**put))

    def update_item(self, **asked: object) -> object:
        wanted = cast("UpdateItemInputTypeDef", asked)
        return self._tried(update(wanted), lambda: self._client.update_item(**wanted))

    def _tried(self, statement: Statement | None, alone: Callable[[], object]) -> object:
        if statement is None:
            return alone()
        one: BatchStatementRequestTypeDef = {
            "Statement": statement.text,
            "Parameters": list(statement.parameters),
        }
        told = self._client.batch_execute_statement(Statements=[one])["Responses"][0]
        if "Error" not in told:
            self.done += 1
            return {}
        # What makes no sense as a write makes none as a statement: then this raises.
        answer = alone()
        code = told["Error"].get("Code")
        known = code in _ORDINARY or (self._refuses_or and " OR " in statement.text)
        assert known, (statement, told)
        return answer
