"""``resolve``: the facts that wait, asked for again."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.commands.opening import open_installation
from worker.commands.printing import AsJson, console, counted, errors, print_json


def resolve(
    every: Annotated[bool, typer.Option("--all", help="All that wait, due or not.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Enqueue again the facts whose next attempt is due: the hourly tick's job, by hand."""
    installation = open_installation()
    due_by = None if every else installation.clock.now()
    resolved = installation.jobs(dry_run=dry_run).resolve(due_by)
    if as_json:
        print_json(
            {
                "dryRun": dry_run,
                "messages": resolved.enqueued,
                "unconfirmed": resolved.unconfirmed,
                "confirmed": resolved.confirmed,
                "missing": resolved.missing,
                "reports": resolved.reports,
                "problems": list(resolved.problems),
            }
        )
    else:
        verb = "would be enqueued" if dry_run else "enqueued"
        console.print(f"{counted(resolved.enqueued, 'waiting fact')} {verb}")
        console.print(f"{resolved.unconfirmed:,} sent facts wait for Stripe's summaries")
        if not dry_run:
            console.print(
                f"{resolved.confirmed:,} of them confirmed now; "
                f"{resolved.reports:,} reports of refusals"
            )
        if resolved.missing:
            errors.print(
                f"{resolved.missing:,} customers with rows in the last month have no billing fact: "
                "run `enqueue monthly`, and look at `dlq list`"
            )
        for problem in resolved.problems:
            errors.print(f"Stripe could not be asked, the next time asks again: {problem}")
    if resolved.missing:
        raise typer.Exit(1)
