"""DynamoDB's expression language: conditions, key conditions, filters, updates and projections.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html

An expression is parsed once, into functions of an item and of the values it is given.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# An attribute value as the low-level client spells it: {"S": "…"}, {"N": "…"}.
Value: TypeAlias = "Mapping[str, object]"
Item: TypeAlias = "dict[str, Value]"
Operand: TypeAlias = "Callable[[Item, Mapping[str, Value]], Value | None]"
Condition: TypeAlias = "Callable[[Item, Mapping[str, Value]], bool]"
Update: TypeAlias = "Callable[[Item, Mapping[str, Value]], Item]"

T = TypeVar("T")
_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+\-]|[:#]?[A-Za-z_][A-Za-z0-9_.]*)")
_PLAIN_NUMBER = re.compile(r"(?:0|-?[1-9][0-9]{0,37})\Z")
_MOST_DIGITS, _SMALLEST, _LARGEST = 38, -130, 125
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
_RESERVED = frozenset(word.upper() for word in ReservedKeywords.get_reserved_keywords())
_COMPARISONS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


class ExpressionError(ValueError):
    """DynamoDB would answer with a ``ValidationException``."""


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
            left = _or(left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._not()
        while self._take("AND"):
            left = _and(left, self._not())
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
            return _equal(left, self._operand())
        if operator == "<>":
            same = _equal(left, self._operand())
            return lambda item, values: not same(item, values)
        if operator == "BETWEEN":
            low = self._operand()
            self._expect("AND")
            high = self._operand()
            return _between(left, low, high)
        if operator == "IN":
            self._expect("(")
            options = [_equal(left, option) for option in self._listed(self._operand)]
            self._expect(")")
            return lambda item, values: any(option(item, values) for option in options)
        if operator in _COMPARISONS:
            return _ordered(left, self._operand(), operator)
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
            operand = _sum(operand, self._next(), self._operand())

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
            new[name] = {"N": str(_number(old.get(name, {"N": "0"})) + _number(more))}

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


def order(left: Value, right: Value) -> int | None:
    """Below, equal or above zero; None for two types, which no comparison holds between."""
    for kind in ("S", "N", "B"):
        if kind in left:
            if kind not in right:
                return None
            if kind == "N":
                a, b = _number(left), _number(right)
                return (a > b) - (a < b)
            one, other = str(left[kind]), str(right[kind])
            return (one > other) - (one < other)
    return None


def _number(value: Value) -> int | Decimal:
    if "N" not in value:
        raise ExpressionError(f"{value} is no number")
    text = str(value["N"])
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


def normal(value: Value) -> Value:
    """A value as DynamoDB keeps it: a number in its shortest form, of at most 38 digits.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
    """
    text = value.get("N")
    if text is None or _PLAIN_NUMBER.match(str(text)):
        return value
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ExpressionError(f"{text!r} is no number")
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > _MOST_DIGITS or (number and not _SMALLEST <= number.adjusted() <= _LARGEST):
        raise ExpressionError(f"{text} has more than 38 digits or lies out of range")
    exact = f"{number:f}"
    if "." in exact:
        exact = exact.rstrip("0").rstrip(".")
    return {"N": "0" if not number else exact}


def _and(left: Condition, right: Condition) -> Condition:
    return lambda item, values: left(item, values) and right(item, values)


def _or(left: Condition, right: Condition) -> Condition:
    return lambda item, values: left(item, values) or right(item, values)


def _equal(left: Operand, right: Operand) -> Condition:
    def test(item: Item, values: Mapping[str, Value]) -> bool:
        a, b = left(item, values), right(item, values)
        if a is None or b is None:
            return False
        return a == b or order(a, b) == 0

    return test


def _ordered(left: Operand, right: Operand, operator: str) -> Condition:
    holds = _COMPARISONS[operator]

    def test(item: Item, values: Mapping[str, Value]) -> bool:
        a, b = left(item, values), right(item, values)
        if a is None or b is None:
            return False
        found = order(a, b)
        return found is not None and holds(found)

    return test


def _between(left: Operand, low: Operand, high: Operand) -> Condition:
    within = _and(_ordered(left, low, ">="), _ordered(left, high, "<="))

    def test(item: Item, values: Mapping[str, Value]) -> bool:
        a, b = low(item, values), high(item, values)
        if a is not None and b is not None and (order(a, b) or 0) > 0:
            raise ExpressionError("the bounds of BETWEEN are the wrong way round")
        return within(item, values)

    return test


def _sum(left: Operand, sign: str, right: Operand) -> Operand:
    def add(item: Item, values: Mapping[str, Value]) -> Value | None:
        a, b = left(item, values), right(item, values)
        if a is None or b is None:
            return None
        return {"N": str(_number(a) + _number(b) if sign == "+" else _number(a) - _number(b))}

    return add


Names: TypeAlias = "tuple[tuple[str, str], ...]"


@cache
def condition(text: str, names: Names) -> tuple[Condition, frozenset[str], frozenset[str]]:
    """A condition, and the values and names that it uses."""
    parser = Parser(text, dict(names))
    parsed = parser.condition()
    return parsed, frozenset(parser.values), frozenset(parser.used_names)


@cache
def update(text: str, names: Names) -> tuple[Update, frozenset[str], frozenset[str]]:
    """An update, and the values and names that it uses."""
    parser = Parser(text, dict(names))
    parsed = parser.update()
    return parsed, frozenset(parser.values), frozenset(parser.used_names)


@cache
def projection(text: str, names: Names) -> tuple[tuple[str, ...], frozenset[str]]:
    """The attributes that a projection keeps, and the names that it uses."""
    parser = Parser(text, dict(names))
    parsed = parser.projection()
    return parsed, frozenset(parser.used_names)
