"""Which letters a ``dlq`` command is about, as options on the command line."""

from __future__ import annotations

import contextlib
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta  # noqa: TC003 - a dataclass field
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from producers.queues import Queue
from worker.commands.opening import open_installation
from worker.commands.options import read_customer
from worker.commands.printing import errors
from worker.dead_letters.selection import Selection, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from worker.operator_installation import OperatorInstallation

_QUEUE_HELP = "Only this queue's dead letters; may be given several times."
QueueNames = Annotated[list[str] | None, typer.Option("--queue", help=_QUEUE_HELP)]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", help="Only this letter: its id, its original id, or how one begins."),
]
Customer = Annotated[str | None, typer.Option(help="Only this customer's.")]
Kind = Annotated[str | None, typer.Option(help="Only this kind, such as file_processed.")]
ReasonType = Annotated[str | None, typer.Option(help="Only this reason, such as NothingToBill.")]
_AGE = "90s, 15m, 6h, 2d, 1w. Counts from failedAt where that is known, else from the sending."
OlderThan = Annotated[str | None, typer.Option(help=f"At least this old: {_AGE}")]
NewerThan = Annotated[str | None, typer.Option(help=f"At most this old: {_AGE}")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the filter options say, checked."""

    ids: tuple[str, ...]
    customer: str | None
    kind: str | None
    reason: str | None
    older_than: timedelta | None
    newer_than: timedelta | None

    def selection(self, ids: frozenset[str] | None) -> Selection:
        """The letters they select."""
        return Selection(
            ids=ids,
            customer=self.customer,
            kind=self.kind,
            reason=self.reason,
            older_than=self.older_than,
            newer_than=self.newer_than,
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """The letters a command is about."""

    installation: OperatorInstallation
    queues: tuple[Queue, ...]
    selection: Selection


def opened() -> OperatorInstallation:
    """The installation that the environment names."""
    return open_installation()


def read_filters(
    *,
    ids: Sequence[str] | None = None,
    customer: str | None,
    kind: str | None,
    reason: str | None,
    older_than: str | None,
    newer_than: str | None,
) -> Filters:
    """Check what the filter options say; wrong usage where it means nothing."""
    return Filters(
        ids=tuple(dict.fromkeys(ids or ())),
        customer=read_customer(customer),
        kind=kind,
        reason=reason,
        older_than=_duration(older_than, "--older-than"),
        newer_than=_duration(newer_than, "--newer-than"),
    )


def find_scope(filters: Filters, queue_names: Sequence[str] | None) -> Scope:
    """Look up the letters that ids name, where ids are given."""
    installation = opened()
    queues = read_queues(installation, queue_names)
    if not filters.ids:
        return Scope(installation, queues, filters.selection(None))
    with progress(installation, queues, "looking") as on_seen:
        letters = installation.dead_letters.find(filters.ids, queues, on_seen)
    named = frozenset(letter.message_id for letter in letters)
    found = tuple(dict.fromkeys(letter.queue for letter in letters))
    return Scope(installation, found, filters.selection(named))


def must_be_confirmable(command: str, *, dry_run: bool, yes: bool) -> None:
    """Wrong usage where the command would have to ask and cannot."""
    if not (dry_run or yes or sys.stdin.isatty()):
        raise typer.BadParameter(
            f"dlq {command} asks before it acts, and there is no terminal to ask on; give --yes",
            param_hint="--yes",
        )


def read_queues(
    installation: OperatorInstallation, names: Sequence[str] | None
) -> tuple[Queue, ...]:
    """The queues of these names, or all."""
    try:
        return tuple(dict.fromkeys(installation.queues.named(name) for name in names or Queue))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--queue") from None


@contextlib.contextmanager
def progress(
    installation: OperatorInstallation, queues: Sequence[Queue], doing: str
) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal, where standard error is one; around every pass over the queues."""
    with _ended_by_signals():
        if not errors.is_terminal:
            yield lambda _: None
            return
        total = installation.dead_letters.visible(queues) or None
        with Progress(console=errors, transient=True) as bar:
            task = bar.add_task(doing, total=total)
            yield lambda seen: bar.advance(task, seen)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end a pass as Ctrl-C does: letters are shown again."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _duration(text: str | None, hint: str) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None
