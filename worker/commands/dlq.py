"""``dlq``: what failed, why, and what happens if it is replayed."""

from __future__ import annotations

from typing import Annotated

import typer

from producers.instant import format_instant
from worker.commands.dlq_inventory import report_inventory
from worker.commands.dlq_keeping import export, import_letters, purge
from worker.commands.dlq_printing import age, age_seconds, attributes, ledger, pretty
from worker.commands.dlq_replay import replay
from worker.commands.dlq_scope import (
    Customer,
    Kind,
    NewerThan,
    OlderThan,
    QueueNames,
    ReasonType,
    find_scope,
    opened,
    progress,
    read_filters,
    read_queues,
)
from worker.commands.printing import AsJson, JsonValue, console, print_json

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay, keep, remove.")

app.command("replay")(replay)
app.command("purge")(purge)
app.command("export")(export)
app.command("import")(import_letters)


@app.command("list")
def list_letters(
    *,
    queue: QueueNames = None,
    customer: Customer = None,
    kind: Kind = None,
    reason: ReasonType = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    top: Annotated[int, typer.Option(min=1, help="Show no more than this many groups.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Count what lies dead, by kind, reason and customer. Disturbs nothing."""
    filters = read_filters(
        customer=customer, kind=kind, reason=reason, older_than=older_than, newer_than=newer_than
    )
    scope = find_scope(filters, queue)
    with progress(scope.installation, scope.queues, "looking") as on_seen:
        inventory = scope.installation.dead_letters.inventory(
            scope.queues, on_seen, scope.selection
        )
    report_inventory(inventory, scope.installation.clock.now(), top=top, as_json=as_json)


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
        "keptUntil": format_instant(letter.kept_until),
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
        ("kept until", format_instant(letter.kept_until)),
        *[(f"attribute {name}", text) for name, text in attributes(letter).items()],
    ]
    if forecast.item is not None:
        rows += [(f"ledger {name}", str(value)) for name, value in ledger(forecast.item).items()]
    rows.append(("a replay now", forecast.text))
    for name, value in rows:
        console.print(f"{name:<16}  {value or '-'}", markup=False, soft_wrap=True)
    console.print()
    console.print(pretty(letter.body), markup=False, soft_wrap=True)
