"""What expressions are made of: values, their order, and functions of an item."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# An attribute value as the low-level client spells it: {"S": "…"}, {"N": "…"}.
Value: TypeAlias = "Mapping[str, object]"
Item: TypeAlias = "dict[str, Value]"
Operand: TypeAlias = "Callable[[Item, Mapping[str, Value]], Value | None]"
Condition: TypeAlias = "Callable[[Item, Mapping[str, Value]], bool]"
Update: TypeAlias = "Callable[[Item, Mapping[str, Value]], Item]"

_PLAIN_NUMBER = re.compile(r"(?:0|-?[1-9][0-9]{0,37})\Z")
_MOST_DIGITS, _SMALLEST, _LARGEST = 38, -130, 125
COMPARISONS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


class ExpressionError(ValueError):
    """DynamoDB would answer with a ``ValidationException``."""


def order(left: Value, right: Value) -> int | None:
    """Below, equal or above zero; None for two types, which no comparison holds between."""
    for kind in ("S", "N", "B"):
        if kind in left:
            if kind not in right:
                return None
            if kind == "N":
                a, b = number_of(left), number_of(right)
                return (a > b) - (a < b)
            one, other = str(left[kind]), str(right[kind])
            return (one > other) - (one < other)
    return None


def number_of(value: Value) -> int | Decimal:
    """A number attribute's number."""
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


def both(left: Condition, right: Condition) -> Condition:
    """AND."""
    return lambda item, values: left(item, values) and right(item, values)


def either(left: Condition, right: Condition) -> Condition:
    """OR."""
    return lambda item, values: left(item, values) or right(item, values)


def equal(left: Operand, right: Operand) -> Condition:
    """Equality; nothing equals what is not there."""

    def test(item: Item, values: Mapping[str, Value]) -> bool:
        a, b = left(item, values), right(item, values)
        if a is None or b is None:
            return False
        return a == b or order(a, b) == 0

    return test


def ordered(left: Operand, right: Operand, operator: str) -> Condition:
    """A comparison; it does not hold between two types."""
    holds = COMPARISONS[operator]

    def test(item: Item, values: Mapping[str, Value]) -> bool:
        a, b = left(item, values), right(item, values)
        if a is None or b is None:
            return False
        found = order(a, b)
        return found is not None and holds(found)

    return test


def between(left: Operand, low: Operand, high: Operand) -> Condition:
    """BETWEEN, its bounds included."""
    within = both(ordered(left, low, ">="), ordered(left, high, "<="))

    def test(item: Item, values: Mapping[str, Value]) -> bool:
        a, b = low(item, values), high(item, values)
        if a is not None and b is not None and (order(a, b) or 0) > 0:
            raise ExpressionError("the bounds of BETWEEN are the wrong way round")
        return within(item, values)

    return test


def added(left: Operand, sign: str, right: Operand) -> Operand:
    """A sum, or a difference."""

    def add(item: Item, values: Mapping[str, Value]) -> Value | None:
        a, b = left(item, values), right(item, values)
        if a is None or b is None:
            return None
        one, other = number_of(a), number_of(b)
        return {"N": str(one + other if sign == "+" else one - other)}

    return add
