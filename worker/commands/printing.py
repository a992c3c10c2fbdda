"""What commands print: a table for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Cell = str | int | bool | None
JsonValue = Cell | list["JsonValue"] | dict[str, "JsonValue"]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

# A pipe has no width: rows stay whole there, so that grep finds ids.
_PIPED_WIDTH = 1000


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() else _PIPED_WIDTH


console = Console(width=_width(sys.stdout), highlight=False, emoji=False, markup=False)
errors = Console(stderr=True, width=_width(sys.stderr), highlight=False, emoji=False, markup=False)


def print_json(value: Mapping[str, JsonValue] | Sequence[JsonValue]) -> None:
    """Print one JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print rows under a title; whole numbers stand to the right, with thousands apart."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(_is_count(row[index]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # As Text: cells hold data, and data may look like markup.
        table.add_row(*[Text(_text(cell)) for cell in row])
    console.print(table)


def counted(number: int, noun: str) -> str:
    """So many of something: ``1 letter``, ``2,000 letters``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _is_count(cell: Cell) -> bool:
    return isinstance(cell, int) and not isinstance(cell, bool)


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:,}" if isinstance(cell, int) else cell
