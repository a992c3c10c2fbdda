"""Conditional writes as PartiQL statements, for many of them in one call.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-functions.missing.html

A statement may ask for more than the write that it stands for, never for less: one that fails is
done again as that write. So an ``UPDATE`` never makes an item, and a put whose condition any new
item meets is an ``INSERT``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import (
        PutItemInputTypeDef,
        UniversalAttributeValueTypeDef,
        UpdateItemInputTypeDef,
    )

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
MOST_STATEMENTS = 25
_WORD = re.compile(r"[#:]?[A-Za-z][A-Za-z0-9_]*|<=|>=|<>|[=<>(),]")
_KEPT = frozenset({"AND", "OR", "NOT", "IS", "MISSING"})
_NONE_THERE = re.compile(r"attribute_not_exists\([#A-Za-z]+\)( OR .*)?")
_ONE_THERE = re.compile(r"attribute_exists\(([#A-Za-z]+)\) AND ")
_LACKS = re.compile(r"attribute_not_exists\(([#A-Za-z]+)\)")
_HAS = re.compile(r"attribute_exists\(([#A-Za-z]+)\)")
_CHANGES = re.compile(r"(?:SET (?P<sets>[^()]*?))?(?: ?REMOVE (?P<removals>[^()]*))?")
_SET = re.compile(r"[#A-Za-z]+ = :[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Statement:
    """A PartiQL statement and what its question marks stand for."""

    text: str
    parameters: Sequence[UniversalAttributeValueTypeDef]


def insertion(put: PutItemInputTypeDef) -> Statement | None:
    """A put as an ``INSERT``; None unless its condition holds wherever there is no item."""
    if _NONE_THERE.fullmatch(put.get("ConditionExpression", "")) is None:
        return None
    item = put["Item"]
    named = ", ".join(f"'{name}': ?" for name in item)
    return Statement(f'INSERT INTO "{put["TableName"]}" VALUE {{{named}}}', tuple(item.values()))


def update(asked: UpdateItemInputTypeDef) -> Statement | None:
    """An update as an ``UPDATE``.

    None where it has no condition, returns something, or does more than set and remove.
    """
    condition = asked.get("ConditionExpression", "")
    if not condition or "ReturnValues" in asked:
        return None
    key = asked["Key"]
    names = tuple(sorted(asked.get("ExpressionAttributeNames", {}).items()))
    translated = _translated(
        asked["TableName"], asked.get("UpdateExpression", ""), condition, tuple(key), names
    )
    if translated is None:
        return None
    text, used = translated
    values: Mapping[str, UniversalAttributeValueTypeDef] = {
        **asked.get("ExpressionAttributeValues", {}),
        **{f"key {name}": value for name, value in key.items()},
    }
    return Statement(text, tuple(values[name] for name in used))


@lru_cache(maxsize=256)
def _translated(
    table: str,
    changes: str,
    condition: str,
    key: tuple[str, ...],
    names: tuple[tuple[str, str], ...],
) -> tuple[str, tuple[str, ...]] | None:
    """The text of an update, and which value each of its question marks stands for."""
    known, used = dict(names), list[str]()
    clauses = _CHANGES.fullmatch(changes)
    if clauses is None:
        return None
    sets = clauses["sets"].split(", ") if clauses["sets"] else []
    if any(_SET.fullmatch(each) is None for each in sets):
        return None
    removals = clauses["removals"].split(", ") if clauses["removals"] else []
    parts = [f"SET {_quoted(each, known, used)}" for each in sets]
    parts += [f"REMOVE {_quoted(each, known, used)}" for each in removals]
    found = " AND ".join(f'"{name}" = ?' for name in key)
    used += [f"key {name}" for name in key]
    there = _ONE_THERE.match(condition)
    if there is not None and known.get(there[1], there[1]) in key:
        # An UPDATE never makes an item, so it need not be told that there has to be one.
        condition = condition[there.end() :]
    condition = _HAS.sub(r"\1 IS NOT MISSING", _LACKS.sub(r"\1 IS MISSING", condition))
    asked = _quoted(condition, known, used)
    if " OR " in asked:
        asked = f"({asked})"
    return f'UPDATE "{table}" {" ".join(parts)} WHERE {found} AND {asked}', tuple(used)


def _quoted(expression: str, names: Mapping[str, str], used: list[str]) -> str:
    """An expression with every name quoted and every value a question mark."""

    def word(match: re.Match[str]) -> str:
        found = match[0]
        if found.startswith(":"):
            used.append(found)
            return "?"
        if found in _KEPT or (not found[0].isalpha() and not found.startswith("#")):
            return found
        return f'"{names.get(found, found)}"'

    return _WORD.sub(word, expression).strip()
