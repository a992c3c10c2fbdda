"""``dlq``: what failed, why, and what happens if it is replayed."""

from __future__ import annotations

from typing import Annotated

import typer

from producers.instant import format_instant
from worker.commands.dlq_keeping import export, import_letters, purge
from worker.commands.dlq_printing import (
    age,
    age_seconds,
    attributes,
    ledger,
    pretty,
    say_what_was_missed,
    sights,
)
from worker.commands.dlq_replay import replay
from worker.commands.dlq_scope import QueueNames, opened, progress, read_queues
from worker.commands.printing import AsJson, JsonValue, console, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay, keep, remove.")

app.command("replay")(replay)
app.command("purge")(purge)
app.command("export")(export)
app.command("import")(import_letters)


@app.command("list")
def list_letters(queue: QueueNames = None, as_json: AsJson = False) -> None:
    """Count what lies dead, by kind, reason and customer. Disturbs nothing."""
    installation = opened()
    queues = read_queues(installation, queue)
    with progress(installation, queues, "looking") as on_seen:
        inventory = installation.dead_letters.inventory(queues, on_seen)
    now = installation.clock.now()
    if as_json:
        groups: list[JsonValue] = [
            {
                "queue": key.queue,
                "kind": key.kind,
                "reason": key.reason,
                "customer": key.customer,
                "count": group.count,
                "oldest": format_instant(group.oldest),
                "oldestAgeSeconds": age_seconds(group.oldest, now),
            }
            for key, group in inventory.ordered()
        ]
        print_json(
            {"letters": inventory.total, "groups": groups, "queues": sights(inventory.sights)}
        )
        return
    if inventory.total:
        print_table(
            f"{inventory.total:,} dead letters",
            ("queue", "kind", "reason", "customer", "letters", "oldest"),
            [
                (
                    key.queue,
                    key.kind,
                    key.reason,
                    key.customer,
                    group.count,
                    age(group.oldest, now),
                )
                for key, group in inventory.ordered()
            ],
        )
    else:
        console.print("no dead letters")
    say_what_was_missed(inventory.sights)


@app.command()
def show(
    letter_id: Annotated[
        str, typer.Argument(metavar="ID", help="Its id, its original id, or how one begins.")
    ],
    queue: QueueNames = None,
    as_json: AsJson = False,
) -> None:
    """Show one letter: what it says, why it is here, and what a replay would do now."""
    installation = opened()
    queues = read_queues(installation, queue)
    with progress(installation, queues, "looking") as on_seen:
        letter = installation.dead_letters.find([letter_id], queues, on_seen)[0]
    subject, forecast = installation.dead_letters.forecast(letter)
    now = installation.clock.now()
    shown: dict[str, JsonValue] = {
        "messageId": letter.message_id,
        "originalMessageId": letter.original_message_id,
        "queue": letter.queue,
        "kind": subject.kind,
        "customers": list(subject.customers),
        "reason": {"type": letter.reason.type, "message": letter.reason.message},
        "failedAt": None if letter.death is None else format_instant(letter.death.failed_at),
        "receiveCount": None if letter.death is None else letter.death.receive_count,
        "sentAt": format_instant(letter.sent_at),
        "ageSeconds": age_seconds(letter.since, now),
        "attributes": attributes(letter),
        "body": letter.body,
        "ledger": None if forecast.item is None else ledger(forecast.item),
        "replay": {"verdict": forecast.verdict, "text": forecast.text},
    }
    if as_json:
        print_json(shown)
        return
    rows = [
        ("id", letter.message_id),
        ("original id", letter.original_message_id),
        ("queue", letter.queue),
        ("kind", subject.kind),
        ("customer", ", ".join(subject.customers) or None),
        ("reason", f"{letter.reason.type}: {letter.reason.message}"),
        ("since", f"{format_instant(letter.since)} ({age(letter.since, now)})"),
        *[(f"attribute {name}", text) for name, text in attributes(letter).items()],
    ]
    if forecast.item is not None:
        rows += [(f"ledger {name}", str(value)) for name, value in ledger(forecast.item).items()]
    rows.append(("a replay now", forecast.text))
    for name, value in rows:
        console.print(f"{name:<16}  {value or '-'}", markup=False, soft_wrap=True)
    console.print()
    console.print(pretty(letter.body), markup=False, soft_wrap=True)
