# ruff: noqa: N803 - the methods take the names that AWS gives them
"""DynamoDB's low-level client, as far as the product uses it.

Shapes and errors: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tests.simulation.expressions import ExpressionError, Item, Value, condition, projection, update
from tests.simulation.pages import Pages, Paginator
from tests.simulation.statements import Batch
from tests.simulation.tables import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.process import Process
    from tests.simulation.tables import DynamoDB

_MOST_A_BATCH = 100
_SENDING = {"S": "sending"}


class DynamoDBClient:
    """The low-level client's methods that the product uses.

    Args:
        database: the tables.
        process: whose client it is.
        page: items a page.
    """

    def __init__(self, database: DynamoDB, process: Process, page: int) -> None:
        self._database = database
        self._process = process
        self.pages = Pages(database, page)

    def get_item(
        self,
        *,
        TableName: str,
        Key: Mapping[str, Value],
        ConsistentRead: bool = False,
        ProjectionExpression: str | None = None,
        ExpressionAttributeNames: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """`GetItem`."""
        table = self._database[TableName]
        key = table.key_of(Key)
        names = ExpressionAttributeNames or {}

        def effect() -> dict[str, object]:
            found = table.read(key, consistent=ConsistentRead)
            if found is None:
                return {}
            return {"Item": projected(found, ProjectionExpression, names)}

        return self._call(f"get_item {TableName} {'/'.join(key)}", effect)

    def batch_get_item(
        self, *, RequestItems: Mapping[str, Mapping[str, object]]
    ) -> dict[str, object]:
        """`BatchGetItem`; may leave some keys unprocessed."""
        process = self._process

        def effect() -> dict[str, object]:
            responses: dict[str, list[Item]] = {}
            unprocessed: dict[str, object] = {}
            for name, request in RequestItems.items():
                table = self._database[name]
                keys = request["Keys"]
                assert isinstance(keys, list)
                wanted = sorted(table.key_of(key) for key in keys)
                if len(wanted) > _MOST_A_BATCH or len(set(wanted)) < len(wanted):
                    raise ExpressionError("more than 100 keys, or one of them twice")
                done = len(wanted)
                if process.faults.strike("throttled", process.weather.throttled):
                    done = process.rng.randrange(len(wanted) + 1)
                    rest = [
                        dict(zip(table.key, ({"S": part} for part in key), strict=True))
                        for key in wanted[done:]
                    ]
                    if rest:
                        unprocessed[name] = {**request, "Keys": rest}
                expression = request.get("ProjectionExpression")
                assert expression is None or isinstance(expression, str)
                names = request.get("ExpressionAttributeNames", {})
                assert isinstance(names, dict)
                responses[name] = [
                    projected(found, expression, names)
                    for key in wanted[:done]
                    if (found := table.read(key, consistent=bool(request.get("ConsistentRead"))))
                ]
            return {"Responses": responses, "UnprocessedKeys": unprocessed}

        return self._call(f"batch_get_item {' '.join(RequestItems)}", effect)

    def put_item(
        self,
        *,
        TableName: str,
        Item: Mapping[str, Value],
        ConditionExpression: str | None = None,
        ExpressionAttributeNames: Mapping[str, str] | None = None,
        ExpressionAttributeValues: Mapping[str, Value] | None = None,
        ReturnValuesOnConditionCheckFailure: str = "NONE",
    ) -> dict[str, object]:
        """`PutItem`."""
        table = self._database[TableName]
        key = table.key_of(Item)
        new = dict(Item)
        names, values = ExpressionAttributeNames or {}, ExpressionAttributeValues or {}

        def effect() -> dict[str, object]:
            _check(
                table.items.get(key),
                ConditionExpression,
                None,
                names,
                values,
                all_old=ReturnValuesOnConditionCheckFailure == "ALL_OLD",
                what="PutItem",
            )
            table.write(key, new, self._process.name)
            return {}

        return self._call(f"put_item {TableName} {'/'.join(key)}", effect)

    def update_item(
        self,
        *,
        TableName: str,
        Key: Mapping[str, Value],
        UpdateExpression: str,
        ConditionExpression: str | None = None,
        ExpressionAttributeNames: Mapping[str, str] | None = None,
        ExpressionAttributeValues: Mapping[str, Value] | None = None,
        ReturnValuesOnConditionCheckFailure: str = "NONE",
        ReturnValues: str = "NONE",
    ) -> dict[str, object]:
        """`UpdateItem`."""
        table = self._database[TableName]
        key = table.key_of(Key)
        names, values = ExpressionAttributeNames or {}, ExpressionAttributeValues or {}
        what = f"update_item {TableName} {'/'.join(key)}"
        if self._process.history.kept and ":state" in values:
            what += f" -> {values[':state']['S']}"

        def effect() -> dict[str, object]:
            old = table.items.get(key)
            _check(
                old,
                ConditionExpression,
                UpdateExpression,
                names,
                values,
                all_old=ReturnValuesOnConditionCheckFailure == "ALL_OLD",
                what="UpdateItem",
            )
            apply, _, _ = update(UpdateExpression, tuple(names.items()))
            new = apply(old if old is not None else dict(Key), values)
            if any(new.get(name) != Key[name] for name in table.key):
                raise ExpressionError(f"{UpdateExpression}: a key cannot change")
            table.write(key, new, self._process.name)
            return {"Attributes": new} if ReturnValues == "ALL_NEW" else {}

        return self._call(what, effect, claims=values.get(":state") == _SENDING)

    def batch_execute_statement(
        self, *, Statements: Sequence[Mapping[str, object]]
    ) -> dict[str, object]:
        """`BatchExecuteStatement` of writes."""
        batch = Batch(Statements)
        return self._call(
            f"batch_execute_statement of {len(Statements)}",
            lambda: batch.execute(self._database, self._process),
            claims=batch.claims,
        )

    def query(self, **request: object) -> dict[str, object]:
        """`Query`, one page."""
        what = f"query {request['TableName']} {request.get('IndexName', '')}"
        return self._call(what, lambda: self.pages.read(request))

    def scan(self, **request: object) -> dict[str, object]:
        """`Scan`, one page."""
        what = f"scan {request['TableName']}"
        return self._call(what, lambda: self.pages.read(request))

    def get_paginator(self, operation: str) -> Paginator:
        """Pages of `query` or `scan`."""
        return Paginator(self.query if operation == "query" else self.scan)

    def _call(
        self, what: str, effect: Callable[[], dict[str, object]], *, claims: bool = False
    ) -> dict[str, object]:
        def validated() -> dict[str, object]:
            try:
                return effect()
            except ExpressionError as error:
                raise invalid(str(error)) from error

        return self._process.call("dynamodb", what, validated, claims=claims)


def projected(item: Item, expression: str | None, names: Mapping[str, str]) -> Item:
    """An item, or what a projection keeps of it."""
    if expression is None:
        return item
    kept, _ = projection(expression, tuple(names.items()))
    return {name: item[name] for name in kept if name in item}


def _check(
    old: Item | None,
    condition_text: str | None,
    update_text: str | None,
    names: Mapping[str, str],
    values: Mapping[str, Value],
    *,
    all_old: bool,
    what: str,
) -> None:
    """Refuse a write whose condition does not hold, or whose request makes no sense."""
    name_pairs = tuple(names.items())
    used_values: frozenset[str] = frozenset()
    used_names: frozenset[str] = frozenset()
    holds = None
    if condition_text is not None:
        holds, used_values, used_names = condition(condition_text, name_pairs)
    if update_text is not None:
        _, more_values, more_names = update(update_text, name_pairs)
        used_values, used_names = used_values | more_values, used_names | more_names
    if used_values != values.keys() or used_names != names.keys():
        raise ExpressionError(
            f"{condition_text} {update_text}: given {sorted(values)} {sorted(names)}"
        )
    if holds is not None and not holds(old or {}, values):
        response: dict[str, object] = {
            "Error": {
                "Code": "ConditionalCheckFailedException",
                "Message": "The conditional request failed",
            }
        }
        if all_old and old is not None:
            response["Item"] = old
        raise ClientError(response, what)  # type: ignore[arg-type]  # Item is real, the stubs lack it
