"""``resend``: the next generation of a fact that Stripe does not have."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.commands.opening import open_installation
from worker.commands.printing import AsJson, console, print_json


def resend(
    fact: Annotated[str, typer.Argument(help="The fact's key in the ledger, as `dlq show` says.")],
    generation: Annotated[int, typer.Option(help="The generation you saw, as `dlq show` says.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether it may be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a rejected, refused or absent fact anew, under its next identifier."""
    resending = open_installation().resending
    item = resending.check(fact, generation)
    if dry_run:
        moved = item
    else:
        if not yes:
            typer.confirm(
                f"Bill {item.fact.value:,} bytes to {item.fact.customer_id} again, as "
                f"{item.fact.identifier(item.generation + 1)}?",
                abort=True,
                err=True,
            )
        moved = resending.resend(item)
    if as_json:
        print_json(
            {
                "fact": moved.fact.key,
                "generation": moved.generation,
                "identifier": moved.identifier,
                "state": str(moved.state),
                "dryRun": dry_run,
            }
        )
    elif dry_run:
        console.print(f"{moved.fact.key} may be sent anew")
    else:
        console.print(f"{moved.fact.key} is enqueued as {moved.identifier}")
