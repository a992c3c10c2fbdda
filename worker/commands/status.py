"""``status``: what goes on now; on a terminal it updates in place."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from producers.instant import format_instant
from worker.commands.opening import open_installation
from worker.commands.printing import AsJson, console, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from rich.console import RenderableType

    from worker.commands.printing import JsonValue
    from worker.controls import Control
    from worker.listing.checkpoint import Checkpoint
    from worker.status.snapshot import Snapshot

_NAMED = 3
_GOOD, _WAITS, _BAD = "green", "yellow", "bold red"


def status(
    *,
    once: Annotated[bool, typer.Option("--once", help="Show it once, also on a terminal.")] = False,
    every: Annotated[
        float, typer.Option(min=0.5, help="Seconds between looks at the queues.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show queues, dead letters, open facts, Stripe, and the progress of the day and the month.

    On a terminal it updates in place until Ctrl-C. Shown once, exit 1 says that a person is needed.
    """
    installation = open_installation()
    observer = installation.observer
    seen = observer.look()
    if as_json:
        print_json(_json(seen))
    elif once or not console.is_terminal:
        console.print(_shown(seen))
    else:
        _watch(seen, installation.clock.sleep, observer.look, every)
        return
    if seen.needs_a_person:
        raise typer.Exit(1)


def _watch(
    seen: Snapshot,
    sleep: Callable[[float], None],
    look: Callable[[], Snapshot],
    every: float,
) -> None:
    try:
        with Live(_shown(seen), console=console, auto_refresh=False) as live:
            while True:
                sleep(every)
                live.update(_shown(look()), refresh=True)
    except KeyboardInterrupt:
        return


def _shown(seen: Snapshot) -> RenderableType:
    table = Table(title=f"{seen.at:%Y-%m-%d %H:%M:%S} UTC", title_justify="left")
    table.add_column("queue")
    for column in ("waiting", "in flight", "delayed", "dead letters"):
        table.add_column(column, justify="right")
    for queue in seen.queues:
        held = queue.held
        table.add_row(
            queue.name,
            _number(held.visible, _WAITS),
            _number(held.in_flight, _GOOD),
            _number(held.delayed, _WAITS),
            _number(queue.dead, _BAD),
        )
    return Group(table, *_lines(seen))


def _number(number: int, style: str) -> Text:
    return Text(f"{number:,}", style=style if number else "dim")


def _lines(seen: Snapshot) -> Iterator[Text]:
    works = seen.works
    day, month = works.day, works.month
    of_all = "" if day.customers is None else f" of {day.customers:,}"
    whole = day.customers is not None and day.measured >= day.customers
    yield _line("today", f"{day.day}: {day.measured:,}{of_all} customers sized", whole)
    for listing in seen.listings:
        yield _line("listing", _listing(listing, seen.at), well=False)
    parts = [f"{month.billed:,} of {month.expected:,} customers billed"]
    parts += [f"{month.pending:,} not settled"] if month.pending else []
    parts += [f"{month.to_come:,} to come"] if month.to_come else []
    parts += [f"{month.failed:,} failed (dlq list)"] if month.failed else []
    done = not (month.pending or month.to_come)
    yield _line("month", f"{month.month}: {', '.join(parts)}", done, bad=bool(month.failed))
    yield _line("ledger", _open(seen), not works.open_facts)
    problem = works.stripe
    yield _line("Stripe", problem or "answers and takes the key", not problem, bad=bool(problem))
    controls = works.controls
    if controls.everybody is not None:
        yield _line("paused", f"everybody {controls.everybody}", well=False)
    if controls.paused:
        yield _line("paused", _named(controls.paused), well=False)
    if controls.excluded:
        yield Text.assemble((f"{'excluded':<8}", "bold"), f" {_named(controls.excluded)}")
    if seen.dead_letters:
        yield _line("to do", "siftbeam-billing dlq list says what failed and why", False, bad=True)


def _named(controls: Mapping[str, Control]) -> str:
    """The first of those under control, with the reason, and how many more there are."""
    told = [f"{who} {one}" for who, one in itertools.islice(sorted(controls.items()), _NAMED)]
    more = len(controls) - len(told)
    return "; ".join([*told, *([f"and {more:,} more"] if more else [])])


def _listing(listing: Checkpoint, now: datetime) -> str:
    share = "" if listing.percent is None else f", about {listing.percent} %"
    return (
        f"{listing.prefix}: {listing.objects:,} objects{share}, since {_age(listing.began_at, now)}"
    )


def _open(seen: Snapshot) -> str:
    works = seen.works
    if not works.open_facts or works.open_since is None:
        return "no fact is open"
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(works.open_facts.items()))
    return f"{counts}; the oldest waits for {_age(works.open_since, seen.at)}"


def _age(since: datetime, now: datetime) -> str:
    minutes = int((now - since).total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _line(name: str, text: str, well: bool, *, bad: bool = False) -> Text:
    style = _BAD if bad else _GOOD if well else _WAITS
    return Text.assemble((f"{name:<8}", "bold"), (text, style))


def _json(seen: Snapshot) -> dict[str, JsonValue]:
    works = seen.works
    day, month, controls = works.day, works.month, works.controls
    return {
        "at": format_instant(seen.at),
        "queues": [
            {
                "name": queue.name,
                "visible": queue.held.visible,
                "inFlight": queue.held.in_flight,
                "delayed": queue.held.delayed,
                "deadLetters": queue.dead,
            }
            for queue in seen.queues
        ],
        "listings": [
            {
                "prefix": listing.prefix,
                "objects": listing.objects,
                "bytes": listing.total_bytes,
                "percent": listing.percent,
                "beganAt": format_instant(listing.began_at),
                "savedAt": format_instant(listing.saved_at),
            }
            for listing in seen.listings
        ],
        "day": {
            "date": day.day.isoformat(),
            "measured": day.measured,
            "customers": day.customers,
        },
        "month": {
            "month": str(month.month),
            "expected": month.expected,
            "billed": month.billed,
            "failed": month.failed,
            "pending": month.pending,
        },
        "openFacts": {str(state): count for state, count in works.open_facts.items()},
        "openSince": None if works.open_since is None else format_instant(works.open_since),
        "stripeProblem": works.stripe,
        "paused": {
            "everybody": controls.everybody is not None,
            "customers": [*sorted(controls.paused)],
        },
        "excluded": [*sorted(controls.excluded)],
        "needsAPerson": seen.needs_a_person,
    }
