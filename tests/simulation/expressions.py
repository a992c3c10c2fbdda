"""Expressions, each parsed once into functions of an item and of the values it is given."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

from tests.simulation.expression_parser import Parser
from tests.simulation.operators import Condition, ExpressionError, Item, Update, Value

__all__ = [
    "ExpressionError",
    "Item",
    "Names",
    "Value",
    "condition",
    "projection",
    "update",
]

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
