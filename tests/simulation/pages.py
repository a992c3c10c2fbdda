"""Pages of a query or a scan, as DynamoDB reads them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from tests.simulation.expressions import ExpressionError, Item, Names, condition, projection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.simulation.tables import DynamoDB, Key, Table

_HASH = re.compile(r"\s*(#?[A-Za-z_]\w*)\s*=\s*(:\w+)")


class Paginator:
    """Pages to the end, each asked for when it is reached.

    Args:
        ask: gives one page.
    """

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


class Pages:
    """Reads one page at a time.

    Args:
        database: the tables.
        size: items a page.
    """

    def __init__(self, database: DynamoDB, size: int) -> None:
        self._database = database
        self.size = size

    def read(self, request: Mapping[str, object]) -> dict[str, object]:
        """One page of a query, or of a scan where there is no key condition."""
        table = self._database[str(request["TableName"])]
        names = request.get("ExpressionAttributeNames") or {}
        values = request.get("ExpressionAttributeValues") or {}
        start = request.get("ExclusiveStartKey")
        assert isinstance(names, dict)
        assert isinstance(values, dict)
        name_pairs = tuple(names.items())
        filtered, kept = request.get("FilterExpression"), request.get("ProjectionExpression")
        _check_uses(
            request.get("KeyConditionExpression"), filtered, kept, name_pairs, frozenset(values)
        )
        found = self._candidates(table, request, name_pairs, values)
        if not found:
            return {"Items": [], "Count": 0}
        if isinstance(start, dict):
            at = start["at"]
            backwards = request.get("ScanIndexForward") is False
            found = [entry for entry in found if (entry[0] < at if backwards else entry[0] > at)]
        page = found[: self.size]
        items = [item for _, item in page]
        if isinstance(filtered, str):
            holds, _, _ = condition(filtered, name_pairs)
            items = [item for item in items if holds(item, values)]
        if isinstance(kept, str):
            attributes, _ = projection(kept, name_pairs)
            items = [{name: item[name] for name in attributes if name in item} for item in items]
        answer: dict[str, object] = {"Items": items, "Count": len(items)}
        if len(found) > self.size:
            answer["LastEvaluatedKey"] = {"at": page[-1][0]}
        return answer

    def _candidates(
        self,
        table: Table,
        request: Mapping[str, object],
        names: Names,
        values: Mapping[str, Mapping[str, object]],
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
        hash_key, placeholder = _hash_of(key_condition, names)
        hash_value = str(values[placeholder]["S"])
        index_name = request.get("IndexName")
        if index_name is None:
            expected, range_key = table.key[0], table.key[1] if len(table.key) > 1 else None
            source = table.partition(hash_value)
        else:
            index = table.indexes[str(index_name)]
            if request.get("ConsistentRead"):
                raise ExpressionError("an index has no consistent reads")
            expected, range_key = index.hash_key, index.range_key
            source = table.index_image(index.name, hash_value)
        if hash_key != expected:
            raise ExpressionError(f"{key_condition}: the hash key is {expected}")
        if not source:
            return []
        holds, _, _ = condition(key_condition, names)
        seen: Iterable[tuple[Key, Item | None]] = source.items()
        if index_name is None and not request.get("ConsistentRead"):
            seen = [(key, table.read(key, consistent=False)) for key in source]
        found: list[tuple[tuple[object, ...], Item]] = [
            ((_sortable(item, range_key), key), item)
            for key, item in seen
            if item is not None and holds(item, values)
        ]
        found.sort(key=_place, reverse=request.get("ScanIndexForward") is False)
        return found


def _place(entry: tuple[tuple[object, ...], Item]) -> tuple[object, ...]:
    return entry[0]


def _sortable(item: Item, name: str | None) -> object:
    if name is None:
        return 0
    value = item[name]
    return int(str(value["N"])) if "N" in value else value["S"]


@cache
def _hash_of(key_condition: str, names: Names) -> tuple[str, str]:
    """The hash key's attribute, and the placeholder that it has to equal."""
    match = _HASH.match(key_condition)
    if match is None:
        raise ExpressionError(f"{key_condition}: it does not begin with the hash key")
    return dict(names).get(match[1], match[1]), match[2]


@cache
def _check_uses(
    key_condition: object,
    filtered: object,
    kept: object,
    names: Names,
    given: frozenset[str],
) -> None:
    """Refuse names and values that are missing, or given and not used."""
    used_values: frozenset[str] = frozenset()
    used_names: frozenset[str] = frozenset()
    for text in (key_condition, filtered):
        if isinstance(text, str):
            _, more_values, more_names = condition(text, names)
            used_values, used_names = used_values | more_values, used_names | more_names
    if isinstance(kept, str):
        used_names |= projection(kept, names)[1]
    if used_values != given or used_names != dict(names).keys():
        raise ExpressionError(f"{key_condition} {filtered} {kept}: given {sorted(given)} {names}")
