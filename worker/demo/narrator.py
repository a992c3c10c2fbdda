"""The narrator: the story on a terminal, or as plain text anywhere else.

Colour and progress only where the output is a terminal; https://no-color.org is honoured.
"""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PLAIN_WIDTH = 110
_INDENT = 3


class Narrator:
    """Tells the story.

    Args:
        animate: whether to show progress, which only a terminal does.
    """

    def __init__(self, *, animate: bool = True) -> None:
        self._console = Console(highlight=False, markup=False)
        self._animate = animate and self._console.is_terminal
        if not self._console.is_terminal:
            self._console.width = _PLAIN_WIDTH
        self._scene = 0

    def scene(self, title: str) -> None:
        """Begin a scene."""
        self._scene += 1
        self._console.print(f"\n{self._scene}  {title}", style="bold")

    def say(self, line: str, style: str = "", indent: int = _INDENT) -> None:
        """Tell one thing."""
        margin = " " * indent
        text = textwrap.fill(
            line, self._console.width, initial_indent=margin, subsequent_indent=margin
        )
        self._console.print(text, style=style, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
        """Show figures; numbers and amounts stand to the right, with thousands apart."""
        table = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
            header_style="dim",
        )
        for index, column in enumerate(columns):
            right = all(_is_figure(row[index]) for row in rows)
            table.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
        self._console.print(Padding(table, (0, 0, 1, 0), expand=False))

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar; yields what moves it on by one."""
        bar = Progress(
            TextColumn("   {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=self._console,
            transient=True,
            disable=not self._animate,
        )
        with bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something goes on."""
        if not self._animate:
            yield
            return
        with self._console.status(f"   {what}", spinner="dots"):
            yield


def _is_figure(cell: str | int) -> bool:
    return isinstance(cell, int) or cell.startswith("$")
