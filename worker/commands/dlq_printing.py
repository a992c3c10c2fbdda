"""What the ``dlq`` commands print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from producers.instant import format_instant
from worker.commands.printing import JsonValue, console, errors, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.dead_letters.inventory import Sight
    from worker.dead_letters.keeping import Kept
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.replay_report import ReplayReport
    from worker.ledger.item import LedgerItem


def report_replay(report: ReplayReport, *, as_json: bool, quiet_json: bool = False) -> None:
    """What a replay did, or would do; ``quiet_json`` keeps standard output for JSON."""
    if as_json:
        print_json(
            {
                "outcomes": {str(fate): count for fate, count in sorted(report.fates.items())},
                "forecasts": {str(each): count for each, count in sorted(report.verdicts.items())},
                "notes": list(report.notes),
                "stopped": report.stopped,
                "finished": report.finished,
                "manifest": None if report.manifest is None else str(report.manifest),
                "queues": sights(report.sights),
            }
        )
        return
    out = errors if quiet_json else console
    counts = [f"{count:,} {fate.replace('_', ' ')}" for fate, count in sorted(report.fates.items())]
    out.print("; ".join(counts) or "no letter fits")
    for verdict, count in sorted(report.verdicts.items()):
        out.print(f"  {verdict.replace('_', ' ')}: {count:,}")
    for note in report.notes:
        errors.print(note, markup=False, soft_wrap=True)
    if report.stopped is not None:
        errors.print(f"stopped: {report.stopped}", style="red", markup=False, soft_wrap=True)
    say_what_was_missed(report.sights)
    if not report.finished:
        errors.print(
            f"not finished: the same command, or dlq replay --resume {report.manifest}, goes on",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def report_kept(kept: Kept, what: str, *, as_json: bool) -> None:
    """What an export, a purge or an import did; exits 1 where a person has to look."""
    if as_json:
        print_json(
            {
                "letters": kept.letters,
                "undeleted": kept.undeleted,
                "refused": list(kept.refused),
                "queues": sights(kept.sights),
            }
        )
    else:
        console.print(f"{kept.letters:,} letters {what}", markup=False, soft_wrap=True)
        for refusal in kept.refused:
            errors.print(f"not sent: {refusal}", markup=False, soft_wrap=True)
        say_what_was_missed(kept.sights)
    if kept.undeleted:
        errors.print(f"{kept.undeleted:,} are still on their queue: SQS confirmed no deletion")
    if kept.undeleted or kept.refused:
        raise typer.Exit(1)


def say_what_was_missed(sights: Sequence[Sight]) -> None:
    """Say on standard error which queues were not seen whole."""
    for sight in sights:
        if not sight.complete:
            errors.print(
                f"{sight.queue}: about {sight.missed:,} letters were not seen"
                + (
                    f" ({sight.hidden:,} were in flight: another looks at them)"
                    * bool(sight.hidden)
                )
                + (", SQS lets no more be in flight" * sight.full)
                + "; run it again in a minute",
                style="yellow",
                soft_wrap=True,
            )


def sights(sights: Sequence[Sight]) -> list[JsonValue]:
    """How much of each queue was seen, for JSON."""
    return [
        {"queue": each.queue, "seen": each.seen, "missed": each.missed, "complete": each.complete}
        for each in sights
    ]


def attributes(letter: Letter) -> dict[str, JsonValue]:
    """A letter's attributes, binary ones by their length and beginning."""
    return {
        name: (
            f"{len(value['BinaryValue'])} bytes, {value['BinaryValue'][:64].hex()}"
            if "BinaryValue" in value
            else value.get("StringValue")
        )
        for name, value in sorted(letter.attributes.items())
    }


def ledger(item: LedgerItem) -> dict[str, JsonValue]:
    """What the ledger says of a fact."""
    return {
        "fact": item.fact.key,
        "state": item.state,
        "generation": item.generation,
        "bytes": item.fact.value,
        "timestamp": format_instant(item.fact.stamped_at),
        "identifier": item.identifier,
        "attempts": item.attempts,
        "lastError": item.last_error,
    }


def pretty(body: str) -> str:
    """A body, indented where it is JSON."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body


def age_seconds(since: datetime, now: datetime) -> int:
    """Whole seconds since then; never below zero."""
    return max(0, int((now - since).total_seconds()))


def age(since: datetime, now: datetime) -> str:
    """An age in two units at most."""
    minutes, seconds = divmod(age_seconds(since, now), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
