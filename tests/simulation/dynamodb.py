# ruff: noqa: N803 - the methods take the names that AWS gives them
"""DynamoDB: tables that evaluate the real expressions, with indexes that lag.

Shapes and errors: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from botocore.exceptions import ClientError

from tests.simulation.expression_language import (
    ExpressionError,
    Item,
    Names,
    Value,
    condition,
    normal,
    projection,
    update,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping

    from tests.simulation.process import Process
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather

Key: TypeAlias = "tuple[str, ...]"
Watch: TypeAlias = "Callable[[Item | None, Item, str], None]"
_INDEX_TYPES = frozenset({"S", "N"})


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index that projects everything."""

    name: str
    hash_key: str
    range_key: str | None
    types: Mapping[str, str]


class Table:
    """One table.

    Args:
        name: its full name.
        key: its key's attributes.
        indexes: its global secondary indexes.
        scheduler: time, for the lag of indexes.
        rng: chance.
        weather: how long indexes lag.
    """

    def __init__(
        self,
        name: str,
        key: tuple[str, ...],
        indexes: tuple[Index, ...],
        *,
        scheduler: Scheduler,
        rng: random.Random,
        weather: Weather,
    ) -> None:
        self.name = name
        self.key = key
        self.items: dict[Key, Item] = {}
        self.watch: Watch | None = None
        self.indexes = {index.name: index for index in indexes}
        self._scheduler = scheduler
        self._rng = rng
        self._weather = weather
        self._images: dict[str, dict[str, dict[Key, Item]]] = {
            name: defaultdict(dict) for name in self.indexes
        }
        self._before: dict[Key, tuple[float, Item | None]] = {}
        self._settled: dict[Key, float] = {}

    def key_of(self, attributes: Mapping[str, Value]) -> Key:
        """The key of an item, as text."""
        try:
            key = tuple(str(attributes[name]["S"]) for name in self.key)
        except KeyError:
            key = ()
        if not key or "" in key:
            raise _invalid(f"{self.name}: no key in {attributes}")
        return key

    def read(self, key: Key, *, consistent: bool) -> Item | None:
        """One item; an eventually consistent read may miss what was just written."""
        found = self.items.get(key)
        if not consistent and key in self._before:
            written_at, before = self._before[key]
            recent = self._scheduler.now - written_at < 1 + self._weather.index_lag
            if recent and self._rng.random() < self._weather.stale_read:
                return before
        return found

    def write(self, key: Key, new: Item, who: str) -> None:
        """Put an item in place of what is there."""
        old = self.items.get(key)
        for index in self.indexes.values():
            _check_index_types(index, new)
        new = {name: normal(value) for name, value in new.items()}
        self.items[key] = new
        now = self._scheduler.now
        self._before[key] = (now, old)
        if self.watch is not None:
            self.watch(old, new, who)
        if self.indexes:
            self._propagate(key, now)

    def index_image(self, index: str, hash_value: str) -> dict[Key, Item]:
        """What an index shows under one hash key."""
        return self._images[index][hash_value]

    def _propagate(self, key: Key, now: float) -> None:
        """Show a write in the indexes, later: in the order of the writes to one item."""
        due = now + self._weather.index_lag * self._rng.random() ** 4
        due = max(due, self._settled.get(key, 0.0))
        self._settled[key] = due
        new = self.items[key]

        def show() -> None:
            for index in self.indexes.values():
                images = self._images[index.name]
                for image in images.values():
                    image.pop(key, None)
                if index.hash_key in new and (index.range_key is None or index.range_key in new):
                    images[str(new[index.hash_key]["S"])][key] = new

        self._scheduler.at(due, show)


def _check_index_types(index: Index, item: Item) -> None:
    for name, kind in index.types.items():
        if name in item and not item[name].get(kind):
            raise ExpressionError(f"type mismatch for index key {name}, expected {kind}")


class DynamoDB:
    """All tables."""

    def __init__(self, tables: tuple[Table, ...]) -> None:
        self.tables = {table.name: table for table in tables}

    def __getitem__(self, name: str) -> Table:
        """A table by its full name."""
        if name not in self.tables:
            raise _refusal("ResourceNotFoundException", f"{name}: no such table")
        return self.tables[name]


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
        self.page = page

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
            return {"Item": _projected(found, ProjectionExpression, names)}

        return self._call(f"get_item {TableName} {'/'.join(key)}", effect)

    def batch_get_item(
        self, *, RequestItems: Mapping[str, Mapping[str, object]]
    ) -> dict[str, object]:
        """`BatchGetItem`; may leave some keys unprocessed."""

        def effect() -> dict[str, object]:
            responses: dict[str, list[Item]] = {}
            unprocessed: dict[str, object] = {}
            for name, request in RequestItems.items():
                table = self._database[name]
                keys = request["Keys"]
                assert isinstance(keys, list)
                wanted = sorted(table.key_of(key) for key in keys)
                if len(wanted) > 100 or len(set(wanted)) < len(wanted):
                    raise ExpressionError("more than 100 keys, or one of them twice")
                done = len(wanted)
                if self._process.rng.random() < self._process.weather.throttled:
                    done = self._process.rng.randrange(len(wanted) + 1)
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
                    _projected(found, expression, names)
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
        what = f"put_item {TableName} {'/'.join(key)}"
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

        return self._call(what, effect)

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

        return self._call(what, effect)

    def query(self, **request: object) -> dict[str, object]:
        """`Query`, one page."""
        name = request["TableName"]
        return self._call(
            f"query {name} {request.get('IndexName', '')}", lambda: self._page(request)
        )

    def scan(self, **request: object) -> dict[str, object]:
        """`Scan`, one page."""
        return self._call(f"scan {request['TableName']}", lambda: self._page(request))

    def get_paginator(self, operation: str) -> Paginator:
        """Pages of `query` or `scan`."""
        return Paginator(self.query if operation == "query" else self.scan)

    def _page(self, request: Mapping[str, object]) -> dict[str, object]:
        table = self._database[str(request["TableName"])]
        names = request.get("ExpressionAttributeNames") or {}
        values = request.get("ExpressionAttributeValues") or {}
        start = request.get("ExclusiveStartKey")
        assert isinstance(names, dict)
        assert isinstance(values, dict)
        _check_uses(
            request.get("KeyConditionExpression"),
            request.get("FilterExpression"),
            request.get("ProjectionExpression"),
            tuple(names.items()),
            frozenset(values),
        )
        found = self._candidates(table, request, names, values)
        if isinstance(start, dict):
            at = start["at"]
            backwards = request.get("ScanIndexForward") is False
            found = [entry for entry in found if (entry[0] < at if backwards else entry[0] > at)]
        page, rest = found[: self.page], found[self.page :]
        items = [item for _, item in page]
        filtered = request.get("FilterExpression")
        if isinstance(filtered, str):
            holds, _, _ = condition(filtered, tuple(names.items()))
            items = [item for item in items if holds(item, values)]
        kept = request.get("ProjectionExpression")
        if isinstance(kept, str):
            items = [_projected(item, kept, names) for item in items]
        answer: dict[str, object] = {"Items": items, "Count": len(items)}
        if rest:
            answer["LastEvaluatedKey"] = {"at": page[-1][0]}
        return answer

    def _candidates(
        self,
        table: Table,
        request: Mapping[str, object],
        names: Mapping[str, str],
        values: Mapping[str, Value],
    ) -> list[tuple[tuple[object, ...], Item]]:
        """What a query or a scan goes through, in order, each with its place."""
        key_condition = request.get("KeyConditionExpression")
        if not isinstance(key_condition, str):
            segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
            assert isinstance(segments, int)
            return [
                ((key,), item)
                for key, item in sorted(table.items.items())
                if sum(map(ord, key[0])) % segments == segment
            ]
        holds, _, _ = condition(key_condition, tuple(names.items()))
        index_name = request.get("IndexName")
        if index_name is None:
            hash_key, range_key = table.key[0], table.key[1] if len(table.key) > 1 else None
            source = table.items
        else:
            index = table.indexes[str(index_name)]
            if request.get("ConsistentRead"):
                raise ExpressionError("an index has no consistent reads")
            hash_key, range_key = index.hash_key, index.range_key
            attribute = key_condition.split("=", 1)
            placeholder = attribute[1].split()[0]
            source = table.index_image(str(index_name), str(values[placeholder]["S"]))
            assert names.get(attribute[0].strip(), attribute[0].strip()) == hash_key
        if not source:
            return []
        consistent = bool(request.get("ConsistentRead")) or index_name is not None
        found: list[tuple[tuple[object, ...], Item]] = []
        for key in source:
            item = source[key] if consistent else table.read(key, consistent=False)
            if item is not None and holds(item, values):
                found.append(((_sortable(item, range_key), key), item))
        found.sort(key=lambda entry: entry[0], reverse=request.get("ScanIndexForward") is False)
        return found

    def _call(self, what: str, effect: Callable[[], dict[str, object]]) -> dict[str, object]:
        def validated() -> dict[str, object]:
            try:
                return effect()
            except ExpressionError as error:
                raise _invalid(str(error)) from error

        return self._process.call("dynamodb", what, validated)


def _invalid(message: str) -> ClientError:
    return _refusal("ValidationException", message)


def _refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DynamoDB")


class Paginator:
    """Pages to the end, each asked for when it is reached."""

    def __init__(self, ask: Callable[..., dict[str, object]]) -> None:
        self._ask = ask

    def paginate(self, **request: object) -> Iterator[dict[str, object]]:
        """The pages."""
        while True:
            page = self._ask(**request)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _sortable(item: Item, name: str | None) -> object:
    if name is None:
        return 0
    value = item[name]
    return int(str(value["N"])) if "N" in value else str(value["S"])


def _projected(item: Item, expression: str | None, names: Mapping[str, str]) -> Item:
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


@cache
def _check_uses(
    key_condition: str | None,
    filtered: str | None,
    kept: str | None,
    names: Names,
    given: frozenset[str],
) -> None:
    """Refuse names and values that are missing, or given and not used."""
    used_values: frozenset[str] = frozenset()
    used_names: frozenset[str] = frozenset()
    for text in (key_condition, filtered):
        if text is not None:
            _, more_values, more_names = condition(text, names)
            used_values, used_names = used_values | more_values, used_names | more_names
    if kept is not None:
        used_names |= projection(kept, names)[1]
    if used_values != given or used_names != dict(names).keys():
        raise ExpressionError(f"{key_condition} {filtered} {kept}: given {sorted(given)} {names}")
