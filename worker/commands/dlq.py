"""``dlq``: what failed, why, and what happens if it is replayed."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from datetime import timedelta  # noqa: TC003 - typer reads the annotation
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from producers.instant import format_instant
from producers.queues import Queue
from worker.commands.dlq_printing import (
    age,
    age_seconds,
    attributes,
    ledger,
    pretty,
    report_kept,
    report_replay,
    say_what_was_missed,
    sights,
)
from worker.commands.opening import open_installation
from worker.commands.options import read_customer
from worker.commands.printing import AsJson, JsonValue, console, errors, print_json, print_table
from worker.dead_letters.replay import Fate, ReplayReport, ReplayRules
from worker.dead_letters.selection import Selection, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from worker.operator_installation import OperatorInstallation

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay, keep, remove.")

_QUEUE_HELP = "Only this queue's dead letters; may be given several times."
QueueNames = Annotated[list[str] | None, typer.Option("--queue", help=_QUEUE_HELP)]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", help="Only this letter: its id, its original id, or how one begins."),
]
Customer = Annotated[str | None, typer.Option(help="Only this customer's.")]
Kind = Annotated[str | None, typer.Option(help="Only this kind, such as file_processed.")]
ReasonType = Annotated[str | None, typer.Option(help="Only this reason, such as NothingToBill.")]
OlderThan = Annotated[str | None, typer.Option(help="At least this old: 90s, 15m, 6h, 2d, 1w.")]
NewerThan = Annotated[str | None, typer.Option(help="At most this old: 90s, 15m, 6h, 2d, 1w.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class _Scope:
    """The letters a command is about."""

    installation: OperatorInstallation
    queues: tuple[Queue, ...]
    selection: Selection


@app.command("list")
def list_letters(queue: QueueNames = None, as_json: AsJson = False) -> None:
    """Count what lies dead, by kind, reason and customer. Disturbs nothing."""
    installation = open_installation()
    queues = _queues(installation, queue)
    with _progress(installation, queues, "looking") as on_seen:
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
    installation = open_installation()
    queues = _queues(installation, queue)
    with _progress(installation, queues, "looking") as on_seen:
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


@app.command()
def replay(
    *,
    ids: Ids = None,
    queue: QueueNames = None,
    customer: Customer = None,
    kind: Kind = None,
    reason: ReasonType = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Replay no more than this.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Replay no more than this a second.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each would come to; change nothing.")
    ] = False,
    yes: Yes = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what cannot succeed as things stand.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send letters back to their queues. A fact that is billed already is never billed again."""
    _must_be_confirmable("replay", dry_run=dry_run, yes=yes)
    scope = _scope(
        ids=ids,
        queue=queue,
        customer=customer,
        kind=kind,
        reason=reason,
        older_than=older_than,
        newer_than=newer_than,
    )
    rules = ReplayRules(limit=limit, per_second=rate, force=force, dry_run=dry_run)
    if not (dry_run or yes):
        plan = _replay(scope, ReplayRules(limit=limit, force=force, dry_run=True))
        report_replay(plan, as_json=False, quiet_json=as_json)
        if not plan.moved:
            return
        typer.confirm(f"Replay {plan.moved:,} letters?", abort=True, err=True)
    report = _replay(scope, rules)
    report_replay(report, as_json=as_json)
    if report.failed or (report.fates[Fate.SKIPPED] and not dry_run):
        raise typer.Exit(1)


@app.command()
def purge(
    *,
    to: Annotated[Path, typer.Option(help="A new file; every letter is written to it first.")],
    ids: Ids = None,
    queue: QueueNames = None,
    customer: Customer = None,
    kind: Kind = None,
    reason: ReasonType = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove letters for good, after writing them to a file that `dlq import` takes."""
    _must_be_confirmable("purge", dry_run=False, yes=yes)
    scope = _scope(
        ids=ids,
        queue=queue,
        customer=customer,
        kind=kind,
        reason=reason,
        older_than=older_than,
        newer_than=newer_than,
    )
    if not yes:
        typer.confirm(
            "Remove the selected letters from the dead-letter queues?", abort=True, err=True
        )
    with _progress(scope.installation, scope.queues, "removing") as on_seen:
        kept = scope.installation.dead_letters.purge(scope.queues, scope.selection, to, on_seen)
    report_kept(kept, f"written to {to} and removed", as_json=as_json)


@app.command()
def export(
    *,
    to: Annotated[Path, typer.Option(help="A new file, JSON Lines.")],
    ids: Ids = None,
    queue: QueueNames = None,
    customer: Customer = None,
    kind: Kind = None,
    reason: ReasonType = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    as_json: AsJson = False,
) -> None:
    """Write letters to a file; they stay on their queues."""
    scope = _scope(
        ids=ids,
        queue=queue,
        customer=customer,
        kind=kind,
        reason=reason,
        older_than=older_than,
        newer_than=newer_than,
    )
    with _progress(scope.installation, scope.queues, "writing") as on_seen:
        kept = scope.installation.dead_letters.export(scope.queues, scope.selection, to, on_seen)
    report_kept(kept, f"written to {to}", as_json=as_json)


@app.command("import")
def import_letters(
    file: Annotated[Path, typer.Argument(help="What export or purge wrote.")],
    as_json: AsJson = False,
) -> None:
    """Put a file's letters back on their dead-letter queues, as they were."""
    installation = open_installation()
    with _progress(installation, (), "sending") as on_seen:
        kept = installation.dead_letters.bring_back(file, on_seen)
    report_kept(kept, f"of {file} put on their dead-letter queues", as_json=as_json)


def _scope(
    *,
    ids: Sequence[str] | None,
    queue: Sequence[str] | None,
    customer: str | None,
    kind: str | None,
    reason: str | None,
    older_than: str | None,
    newer_than: str | None,
) -> _Scope:
    older, newer = _duration(older_than, "--older-than"), _duration(newer_than, "--newer-than")
    customer = read_customer(customer)
    installation = open_installation()
    queues = _queues(installation, queue)
    named = None
    if ids:
        with _progress(installation, queues, "looking") as on_seen:
            letters = installation.dead_letters.find(ids, queues, on_seen)
        named = frozenset(letter.message_id for letter in letters)
        queues = tuple(dict.fromkeys(letter.queue for letter in letters))
    selection = Selection(
        ids=named,
        customer=customer,
        kind=kind,
        reason=reason,
        older_than=older,
        newer_than=newer,
    )
    return _Scope(installation, queues, selection)


def _replay(scope: _Scope, rules: ReplayRules) -> ReplayReport:
    doing = "looking" if rules.dry_run else "replaying"
    with _progress(scope.installation, scope.queues, doing) as on_seen:
        return scope.installation.dead_letters.replay(scope.queues, scope.selection, rules, on_seen)


def _must_be_confirmable(command: str, *, dry_run: bool, yes: bool) -> None:
    if not (dry_run or yes or sys.stdin.isatty()):
        raise typer.BadParameter(
            f"dlq {command} asks before it acts, and there is no terminal to ask on; give --yes",
            param_hint="--yes",
        )


def _queues(installation: OperatorInstallation, names: Sequence[str] | None) -> tuple[Queue, ...]:
    try:
        return tuple(dict.fromkeys(installation.queues.named(name) for name in names or Queue))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--queue") from None


def _duration(text: str | None, hint: str) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


@contextlib.contextmanager
def _progress(
    installation: OperatorInstallation, queues: Sequence[Queue], doing: str
) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal, where standard error is one."""
    if not errors.is_terminal:
        yield lambda _: None
        return
    total = installation.dead_letters.visible(queues) or None
    with Progress(console=errors, transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda seen: bar.advance(task, seen)
