"""``dlq purge``, ``dlq export`` and ``dlq import``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from worker.commands.dlq_printing import report_kept
from worker.commands.dlq_scope import (
    Customer,
    Ids,
    Kind,
    NewerThan,
    OlderThan,
    QueueNames,
    ReasonType,
    Yes,
    find_scope,
    must_be_confirmable,
    opened,
    progress,
    read_filters,
)
from worker.commands.printing import AsJson  # noqa: TC001 - typer reads the annotations


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
    must_be_confirmable("purge", dry_run=False, yes=yes)
    filters = read_filters(
        ids=ids,
        customer=customer,
        kind=kind,
        reason=reason,
        older_than=older_than,
        newer_than=newer_than,
    )
    scope = find_scope(filters, queue)
    if not yes:
        with progress(scope.installation, scope.queues, "counting") as on_seen:
            found = scope.installation.dead_letters.inventory(
                scope.queues, on_seen, scope.selection
            )
        typer.confirm(
            f"Remove {found.total:,} letters from the dead-letter queues?", abort=True, err=True
        )
    with progress(scope.installation, scope.queues, "removing") as on_seen:
        kept = scope.installation.dead_letters.purge(scope.queues, scope.selection, to, on_seen)
    report_kept(kept, f"written to {to} and removed", as_json=as_json)


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
    filters = read_filters(
        ids=ids,
        customer=customer,
        kind=kind,
        reason=reason,
        older_than=older_than,
        newer_than=newer_than,
    )
    scope = find_scope(filters, queue)
    with progress(scope.installation, scope.queues, "writing") as on_seen:
        kept = scope.installation.dead_letters.export(scope.queues, scope.selection, to, on_seen)
    report_kept(kept, f"written to {to}", as_json=as_json)


def import_letters(
    file: Annotated[Path, typer.Argument(help="What export or purge wrote.")],
    as_json: AsJson = False,
) -> None:
    """Put a file's letters back on their dead-letter queues, as they were."""
    installation = opened()
    with progress(installation, (), "sending") as on_seen:
        kept = installation.dead_letters.bring_back(file, on_seen)
    report_kept(kept, f"of {file} put on their dead-letter queues", as_json=as_json)
