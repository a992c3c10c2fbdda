"""PartiQL, as far as it writes one item: `INSERT` and `UPDATE`.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html

A statement is turned into the expressions of the ordinary language, so that both mean the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tests.simulation.expressions import ExpressionError, condition, update

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.expressions import Item, Value

MOST_STATEMENTS = 25
_TOKEN = re.compile(r"\s*(\"[^\"]+\"|'[^']*'|<>|<=|>=|[=<>(),{}:?*]|[A-Za-z_][A-Za-z0-9_]*|[0-9]+)")


class StatementFailed(Exception):  # noqa: N818 - says what happened
    """One statement of a batch failed; carries its code, and the item that stood in its way."""

    def __init__(self, code: str, item: Item | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.item = item


@dataclass(frozen=True, slots=True)
class Insert:
    """`INSERT INTO "table" VALUE {'name': ?, …}`."""

    table: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """`UPDATE "table" SET … REMOVE … WHERE …`, as expressions.

    Args:
        table: its full name.
        changes: the update expression.
        where: the condition, the key included.
        names: what its ``#…`` stand for.
        literals: what its ``:l…`` stand for.
        equal: attributes that the condition holds equal to a value, each with its ``:…``.
        parameters: how many question marks there are.
        returns: whether the item is returned as it then stands.
    """

    table: str
    changes: str
    where: str
    names: tuple[tuple[str, str], ...]
    literals: tuple[tuple[str, str, str], ...]
    equal: tuple[tuple[str, str], ...]
    parameters: int
    returns: bool


@cache
def parsed(text: str) -> Insert | Update:
    """A statement.

    Raises:
        StatementFailed: it does not parse, or does something else.
    """
    tokens = _tokens(text)
    if [token.upper() for token in tokens[:2]] == ["INSERT", "INTO"]:
        return _insert(tokens)
    if tokens and tokens[0].upper() == "UPDATE":
        return _update(tokens)
    raise StatementFailed("ValidationError")


def execute(
    text: str,
    parameters: Sequence[Value],
    *,
    key_of: Callable[[str], Sequence[str] | None],
    read: Callable[[str, Mapping[str, Value]], Item | None],
    write: Callable[[str, Item], None],
) -> Item | None:
    """Do what a statement says; returns the item where it asks for it.

    Args:
        text: the statement.
        parameters: for its question marks.
        key_of: a table's key attributes; None where there is no such table.
        read: the item that stands under the key that attributes hold.
        write: puts an item in its place.

    Raises:
        StatementFailed: with DynamoDB's code.
    """
    statement = parsed(text)
    key = key_of(statement.table)
    if key is None:
        raise StatementFailed("ResourceNotFound")
    try:
        if isinstance(statement, Insert):
            _execute_insert(statement, parameters, key, read, write)
            return None
        return _execute_update(statement, parameters, key, read, write)
    except ExpressionError:
        raise StatementFailed("ValidationError") from None


def key_named(text: str, parameters: Sequence[Value], key: Sequence[str]) -> tuple[str, ...]:
    """The key of the item that a statement writes, as text."""
    statement = parsed(text)
    if isinstance(statement, Insert):
        there = dict(zip(statement.names, parameters, strict=False))
    else:
        values = _values(statement, parameters)
        there = {name: values[value] for name, value in statement.equal}
    return tuple(str(there.get(name)) for name in key)


def _execute_insert(
    statement: Insert,
    parameters: Sequence[Value],
    key: Sequence[str],
    read: Callable[[str, Mapping[str, Value]], Item | None],
    write: Callable[[str, Item], None],
) -> None:
    if len(parameters) != len(statement.names):
        raise StatementFailed("ValidationError")
    item = dict(zip(statement.names, parameters, strict=True))
    if any("S" not in item.get(name, {}) or not item[name]["S"] for name in key):
        raise StatementFailed("ValidationError")
    if read(statement.table, item) is not None:
        raise StatementFailed("DuplicateItem")
    write(statement.table, item)


def _execute_update(
    statement: Update,
    parameters: Sequence[Value],
    key: Sequence[str],
    read: Callable[[str, Mapping[str, Value]], Item | None],
    write: Callable[[str, Item], None],
) -> Item | None:
    values = _values(statement, parameters)
    equal = dict(statement.equal)
    if any(name not in equal for name in key):
        raise StatementFailed("ValidationError")
    holds, _, _ = condition(statement.where, statement.names)
    apply, _, _ = update(statement.changes, statement.names)
    old = read(statement.table, {name: values[equal[name]] for name in key})
    if old is None or not holds(old, values):
        raise StatementFailed("ConditionalCheckFailed", old)
    new = apply(old, values)
    write(statement.table, new)
    return new if statement.returns else None


def _values(statement: Update, parameters: Sequence[Value]) -> dict[str, Value]:
    if len(parameters) != statement.parameters:
        raise StatementFailed("ValidationError")
    values: dict[str, Value] = {f":p{n}": value for n, value in enumerate(parameters)}
    return values | {name: {kind: value} for name, kind, value in statement.literals}


def _insert(tokens: Sequence[str]) -> Insert:
    table, rest = tokens[2].strip('"'), tokens[3:]
    if not rest or rest[0].upper() != "VALUE" or rest[1] != "{" or rest[-1] != "}":
        raise StatementFailed("ValidationError")
    names = []
    pairs = list(rest[2:-1])
    while pairs:
        name, colon, mark, *pairs = pairs
        if colon != ":" or mark != "?" or not name.startswith("'"):
            raise StatementFailed("ValidationError")
        names.append(name.strip("'"))
        if pairs and pairs.pop(0) != ",":
            raise StatementFailed("ValidationError")
    return Insert(table, tuple(names))


def _update(tokens: Sequence[str]) -> Update:
    upper = [token.upper() for token in tokens]
    if "WHERE" not in upper:
        raise StatementFailed("ValidationError")
    at = upper.index("WHERE")
    end = upper.index("RETURNING") if "RETURNING" in upper else len(tokens)
    words = _Words()
    changes = _merged([words.translated(token) for token in tokens[2:at]])
    where = [words.translated(token) for token in tokens[at + 1 : end]]
    return Update(
        table=tokens[1].strip('"'),
        changes=changes,
        where=_missing(" ".join(where)),
        names=tuple(words.names.items()),
        literals=tuple(words.literals),
        equal=tuple(
            (words.names.get(name, name), value)
            for name, sign, value in zip(where, where[1:], where[2:], strict=False)
            if sign == "=" and value.startswith(":")
        ),
        parameters=words.parameters,
        returns=end < len(tokens),
    )


class _Words:
    """Turns PartiQL's words into those of the expressions."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.literals: list[tuple[str, str, str]] = []
        self.parameters = 0

    def translated(self, token: str) -> str:
        if token == "?":
            self.parameters += 1
            return f":p{self.parameters - 1}"
        if token.startswith('"'):
            name = token.strip('"')
            known = {meant: placeholder for placeholder, meant in self.names.items()}
            placeholder = known.get(name, f"#q{len(known)}")
            self.names[placeholder] = name
            return placeholder
        if token.isdigit() or token.startswith("'"):
            kind = "N" if token.isdigit() else "S"
            name = f":l{len(self.literals)}"
            self.literals.append((name, kind, token.strip("'")))
            return name
        return token


def _merged(words: Sequence[str]) -> str:
    """Repeated `SET`s and `REMOVE`s as one of each, in their order."""
    parts: dict[str, list[list[str]]] = {}
    clause = ""
    for word in words:
        if word.upper() in {"SET", "REMOVE"}:
            clause = word.upper()
            parts.setdefault(clause, []).append([])
        elif clause:
            parts[clause][-1].append(word)
        else:
            raise StatementFailed("ValidationError")
    return " ".join(
        f"{clause} {', '.join(' '.join(words) for words in found)}"
        for clause, found in parts.items()
    )


def _missing(where: str) -> str:
    where = re.sub(r"(\S+) IS MISSING", r"attribute_not_exists(\1)", where, flags=re.IGNORECASE)
    return re.sub(r"(\S+) IS NOT MISSING", r"attribute_exists(\1)", where, flags=re.IGNORECASE)


def _tokens(text: str) -> list[str]:
    tokens, at, stripped = [], 0, text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise StatementFailed("ValidationError")
        tokens.append(match[1])
        at = match.end()
    return tokens
