"""DynamoDB: items in memory, behind the conditions that the calls carry.

Shapes: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html. Expressions are
evaluated as in the simulation of the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.stand_in.answer import Answer, as_json, fault
from tests.simulation.expressions import ExpressionError, condition, update
from tests.simulation.partiql import StatementFailed, execute

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS = {
    "siftbeam-customers": ("customerId",),
    "siftbeam-storage-usage-daily": ("customerId", "date"),
    "siftbeam-storage-usage-monthly": ("customerId", "billingMonth"),
    "siftbeam-processing-history": ("processing-historyId",),
    "siftbeam-billing-ledger": ("fact",),
}
_PAGE = 1000


class Tables:
    """The product's tables."""

    def __init__(self) -> None:
        self.items: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {name: {} for name in _KEYS}
        self._under: dict[tuple[str, str], dict[tuple[str, ...], dict[str, Any]]] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "BatchExecuteStatement": self._execute,
            "Query": self._query,
            "Scan": self._scan,
        }

    def answer(self, operation: str, asked: dict[str, Any]) -> Answer:
        """Do what is asked."""
        found = self._operations.get(operation)
        if found is None:
            return fault("UnknownOperationException", f"the stand-in has no {operation}")
        try:
            return found(asked)
        except ExpressionError as error:
            return fault("com.amazon.coral.validate#ValidationException", str(error))

    def put(self, table: str, items: list[dict[str, Any]]) -> None:
        """Put items in place, unconditionally."""
        for item in items:
            key = _key(table, item)
            self.items[table][key] = item
            self._under.setdefault((table, key[0]), {})[key] = item

    def _get(self, asked: dict[str, Any]) -> Answer:
        table = asked["TableName"]
        item = self.items[table].get(_key(table, asked["Key"]))
        return as_json({} if item is None else {"Item": item})

    def _batch_get(self, asked: dict[str, Any]) -> Answer:
        found: dict[str, list[dict[str, Any]]] = {}
        for table, request in asked["RequestItems"].items():
            held = self.items[table]
            items = (held.get(_key(table, key)) for key in request["Keys"])
            found[table] = [item for item in items if item is not None]
        return as_json({"Responses": found, "UnprocessedKeys": {}})

    def _put(self, asked: dict[str, Any]) -> Answer:
        table, item = asked["TableName"], asked["Item"]
        key = _key(table, item)
        refused = _refused(self.items[table].get(key), asked)
        if refused is not None:
            return refused
        self.put(table, [item])
        return as_json({})

    def _update(self, asked: dict[str, Any]) -> Answer:
        table = asked["TableName"]
        key = _key(table, asked["Key"])
        old = self.items[table].get(key)
        refused = _refused(old, asked)
        if refused is not None:
            return refused
        names = tuple((asked.get("ExpressionAttributeNames") or {}).items())
        apply, _, _ = update(asked["UpdateExpression"], names)
        values = asked.get("ExpressionAttributeValues") or {}
        self.put(table, [apply(dict(asked["Key"]) if old is None else old, values)])
        return as_json({})

    def _execute(self, asked: dict[str, Any]) -> Answer:
        told: list[dict[str, Any]] = []
        for statement in asked["Statements"]:
            try:
                execute(
                    statement["Statement"],
                    statement["Parameters"],
                    key_of=_KEYS.get,
                    read=lambda table, item: self.items[table].get(_key(table, dict(item))),
                    write=lambda table, item: self.put(table, [item]),
                )
                told.append({})
            except StatementFailed as failure:
                told.append({"Error": {"Code": failure.code, "Message": failure.code}})
        return as_json({"Responses": told})

    def _query(self, asked: dict[str, Any]) -> Answer:
        """Of a table by its key, named as the product names it; indexes are empty."""
        table = asked["TableName"]
        names = tuple((asked.get("ExpressionAttributeNames") or {}).items())
        values = asked.get("ExpressionAttributeValues") or {}
        holds, _, _ = condition(asked["KeyConditionExpression"], names)
        hash_value = values.get(f":{_KEYS[table][0]}", {}).get("S", "")
        held = {} if "IndexName" in asked else self._under.get((table, hash_value), {})
        items = [item for _, item in sorted(held.items()) if holds(item, values)]
        return as_json({"Items": items[:_PAGE], "Count": len(items[:_PAGE])})

    def _scan(self, asked: dict[str, Any]) -> Answer:
        begin = int(asked.get("ExclusiveStartKey", {}).get("at", {}).get("N", 0))
        items = list(self.items[asked["TableName"]].values())[begin : begin + _PAGE]
        answer: dict[str, Any] = {"Items": items, "Count": len(items)}
        if len(items) == _PAGE:
            answer["LastEvaluatedKey"] = {"at": {"N": str(begin + _PAGE)}}
        return as_json(answer)


def _key(table: str, attributes: dict[str, Any]) -> tuple[str, ...]:
    return tuple(attributes[name]["S"] for name in _KEYS[table])


def _refused(old: dict[str, Any] | None, asked: dict[str, Any]) -> Answer | None:
    """The answer where a condition does not hold; None where it does, or there is none."""
    text = asked.get("ConditionExpression")
    if text is None:
        return None
    names = tuple((asked.get("ExpressionAttributeNames") or {}).items())
    holds, _, _ = condition(text, names)
    if holds(old or {}, asked.get("ExpressionAttributeValues") or {}):
        return None
    more = {} if old is None else {"Item": old}
    return fault(
        "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "The conditional request failed",
        **more,
    )
