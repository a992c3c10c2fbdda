"""DynamoDB's expression language: conditions, key conditions, filters, updates and projections.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from tests.simulation.operators import (
    COMPARISONS,
    Condition,
    ExpressionError,
    Item,
    Operand,
    Update,
    Value,
    added,
    between,
    both,
    either,
    equal,
    number_of,
    ordered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
_RESERVED = frozenset(word.upper() for word in ReservedKeywords.get_reserved_keywords())
_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+\-]|[:#]?[A-Za-z_][A-Za-z0-9_.]*)")


class Parser:
    """Reads one expression.

    Args:
        text: the expression.
        names: ``ExpressionAttributeNames``.
    """

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._text = text
        self._names = names
        self._tokens = self._split(text)
        self._at = 0
        self.values: set[str] = set()
        self.used_names: set[str] = set()
        self._changed: list[str] = []

    def condition(self) -> Condition:
        """A condition, to the end of the text."""
        parsed = self._either()
        self._end()
        return parsed

    def update(self) -> Update:
        """An update expression."""
        steps: list[Callable[[Item, Item, Mapping[str, Value]], None]] = []
        clauses: list[str] = []
        while self._peek() or not clauses:
            word = self._next().upper()
            clauses.append(word)
            if word == "SET":
                steps += self._listed(self._assignment)
            elif word == "REMOVE":
                steps += self._listed(self._removal)
            elif word == "ADD":
                steps += self._listed(self._addition)
            else:
                raise self._unexpected(word)
        for once in (clauses, self._changed):
            if len(set(once)) < len(once):
                raise ExpressionError(f"{self._text}: one of {once} comes twice")

        def apply(old: Item, values: Mapping[str, Value]) -> Item:
            new = dict(old)
            for step in steps:
                step(old, new, values)
            return new

        return apply

    def projection(self) -> tuple[str, ...]:
        """A list of attributes."""
        found = self._listed(self._name)
        self._end()
        return tuple(found)

    def _either(self) -> Condition:
        left = self._both()
        while self._take("OR"):
            left = either(left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._not()
        while self._take("AND"):
            left = both(left, self._not())
        return left

    def _not(self) -> Condition:
        if self._take("NOT"):
            inner = self._not()
            return lambda item, values: not inner(item, values)
        if self._peek() == "(":
            self._next()
            inner = self._either()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        word = self._peek().lower()
        if word in {"attribute_exists", "attribute_not_exists", "begins_with", "contains"}:
            return self._function(self._next().lower())
        left = self._operand()
        operator = self._next().upper()
        if operator == "=":
            return equal(left, self._operand())
        if operator == "<>":
            same = equal(left, self._operand())
            return lambda item, values: not same(item, values)
        if operator == "BETWEEN":
            low = self._operand()
            self._expect("AND")
            high = self._operand()
            return between(left, low, high)
        if operator == "IN":
            self._expect("(")
            options = [equal(left, option) for option in self._listed(self._operand)]
            self._expect(")")
            return lambda item, values: any(option(item, values) for option in options)
        if operator in COMPARISONS:
            return ordered(left, self._operand(), operator)
        raise self._unexpected(operator)

    def _function(self, word: str) -> Condition:
        self._expect("(")
        if word in {"attribute_exists", "attribute_not_exists"}:
            name = self._name()
            self._expect(")")
            if word == "attribute_exists":
                return lambda item, _: name in item
            return lambda item, _: name not in item
        whole = self._operand()
        self._expect(",")
        part = self._operand()
        self._expect(")")
        begins = word == "begins_with"

        def test(item: Item, values: Mapping[str, Value]) -> bool:
            a, b = whole(item, values), part(item, values)
            if a is None or b is None or "S" not in a or "S" not in b:
                return False
            text, sought = str(a["S"]), str(b["S"])
            return text.startswith(sought) if begins else sought in text

        return test

    def _operand(self) -> Operand:
        word = self._peek()
        if word.lower() == "if_not_exists":
            self._next()
            self._expect("(")
            name = self._name()
            self._expect(",")
            other = self._operand()
            self._expect(")")

            def standing(item: Item, values: Mapping[str, Value]) -> Value | None:
                return item[name] if name in item else other(item, values)

            return standing
        if word.startswith(":"):
            value = self._next()
            self.values.add(value)
            return lambda _, values: values[value]
        name = self._name()
        return lambda item, _: item.get(name)

    def _assignment(self) -> Callable[[Item, Item, Mapping[str, Value]], None]:
        name = self._target()
        self._expect("=")
        operand = self._operand()
        if self._peek() in {"+", "-"}:
            operand = added(operand, self._next(), self._operand())

        def assign(old: Item, new: Item, values: Mapping[str, Value]) -> None:
            value = operand(old, values)
            if value is None:
                raise ExpressionError(f"{self._text}: an attribute it names does not exist")
            new[name] = value

        return assign

    def _removal(self) -> Callable[[Item, Item, Mapping[str, Value]], None]:
        name = self._target()

        def remove(_: Item, new: Item, __: Mapping[str, Value]) -> None:
            new.pop(name, None)

        return remove

    def _addition(self) -> Callable[[Item, Item, Mapping[str, Value]], None]:
        name = self._target()
        operand = self._operand()

        def add(old: Item, new: Item, values: Mapping[str, Value]) -> None:
            more = operand(old, values)
            if more is None or "N" not in more:
                raise ExpressionError(f"{self._text}: ADD takes a number here")
            new[name] = {"N": str(number_of(old.get(name, {"N": "0"})) + number_of(more))}

        return add

    def _target(self) -> str:
        name = self._name()
        self._changed.append(name)
        return name

    def _name(self) -> str:
        word = self._next()
        if word.startswith("#"):
            if word not in self._names:
                raise ExpressionError(f"{self._text}: {word} is not defined")
            self.used_names.add(word)
            return self._names[word]
        if not word or not (word[0].isalpha() or word[0] == "_"):
            raise self._unexpected(word)
        if word.upper() in _RESERVED:
            raise ExpressionError(f"{self._text}: {word} is a reserved word")
        return word

    def _listed(self, read: Callable[[], T]) -> list[T]:
        found = [read()]
        while self._take(","):
            found.append(read())
        return found

    def _split(self, text: str) -> list[str]:
        tokens, at = [], 0
        stripped = text.rstrip()
        while at < len(stripped):
            match = _TOKEN.match(stripped, at)
            if match is None:
                raise ExpressionError(f"{text}: not understood at {at}")
            tokens.append(match[1])
            at = match.end()
        return tokens

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._peek()
        if not word:
            raise self._unexpected("its end")
        self._at += 1
        return word

    def _take(self, word: str) -> bool:
        if self._peek().upper() != word:
            return False
        self._at += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected(self._peek() or "its end")

    def _end(self) -> None:
        if self._peek():
            raise self._unexpected(self._peek())

    def _unexpected(self, word: str) -> ExpressionError:
        return ExpressionError(f"{self._text}: did not expect {word}")
