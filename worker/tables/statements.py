"""Conditional writes as PartiQL statements, for many of them in one call.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html

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

_WORD = re.compile(r"[#:]?[A-Za-z][A-Za-z0-9_]*|<=|>=|<>|[=<>(),]")
_KEPT = frozenset({"AND", "OR", "NOT", "SET", "attribute_exists", "attribute_not_exists"})
_THERE = re.compile(r"^attribute_exists\([#A-Za-z]+\) AND ")
_MADE_ANEW = "attribute_not_exists("


@dataclass(frozen=True, slots=True)
class Statement:
    """A PartiQL statement and what its question marks stand for."""

    text: str
    parameters: Sequence[UniversalAttributeValueTypeDef]


def insertion(put: PutItemInputTypeDef) -> Statement | None:
    """A put as an ``INSERT``; None where its condition does not begin with "there is none"."""
    if not put.get("ConditionExpression", "").startswith(_MADE_ANEW):
        return None
    item = put["Item"]
    named = ", ".join(f"'{name}': ?" for name in item)
    return Statement(f'INSERT INTO "{put["TableName"]}" VALUE {{{named}}}', tuple(item.values()))


def update(asked: UpdateItemInputTypeDef) -> Statement | None:
    """An update as an ``UPDATE``; None where it has no condition or returns something."""
    condition = asked.get("ConditionExpression", "")
    if not condition or "ReturnValues" in asked:
        return None
    key = asked["Key"]
    names = tuple(sorted(asked.get("ExpressionAttributeNames", {}).items()))
    text, used = _translated(
        asked["TableName"], asked.get("UpdateExpression", ""), condition, tuple(key), names
    )
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
) -> tuple[str, tuple[str, ...]]:
    """The text of an update, and which value each of its question marks stands for."""
    used: list[str] = []
    sets, _, removals = changes.partition("REMOVE ")
    parts = [f'UPDATE "{table}"', _quoted(sets, dict(names), used)]
    parts += [f"REMOVE {_quoted(name, dict(names), used)}" for name in removals.split(",") if name]
    found = " AND ".join(f'"{name}" = ?' for name in key)
    used += [f"key {name}" for name in key]
    # An UPDATE never makes an item, so it need not be told that there has to be one.
    asked = _quoted(_THERE.sub("", condition), dict(names), used)
    if " OR " in asked:
        asked = f"({asked})"
    return f"{' '.join(parts)} WHERE {found} AND {asked}", tuple(used)


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
