"""``adjust``: a correction or a cancellation of what was billed, as a fact of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from producers.instant import format_instant
from worker.adjusting import Adjustment, Decision
from worker.commands.opening import open_installation
from worker.commands.options import read_words
from worker.commands.printing import AsJson, console, print_json

if TYPE_CHECKING:
    from worker.adjusting import Adjusting
    from worker.ledger.item import LedgerItem


def adjust(
    *,
    fact: Annotated[
        str,
        typer.Argument(help="The fact's key in the ledger, such as storage-usage#cus_1#2026-10."),
    ],
    by: Annotated[str, typer.Option(help="Who decided: a name or an address.")],
    why: Annotated[str, typer.Option(help="The reason, for the auditor.")],
    value: Annotated[
        int | None, typer.Option("--bytes", help="Bytes to bill more, or (negative) fewer.")
    ] = None,
    from_rows: Annotated[
        bool, typer.Option("--from-rows", help="Correct a month to what its daily rows come to.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the meter event; within 24 hours of sending.")
    ] = False,
    another: Annotated[
        bool, typer.Option("--another", help="With --bytes: once more, though it was said before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it comes to.")] = False,
    as_json: AsJson = False,
) -> None:
    """Correct or cancel what was billed. Asks Stripe whether it would still count."""
    if [value is not None, from_rows, cancel].count(True) != 1:
        raise typer.BadParameter(
            "give one of the three", param_hint="--bytes / --from-rows / --cancel"
        )
    decision = Decision(read_words(by, "--by"), read_words(why, "--why"))
    adjusting = open_installation().adjusting
    if cancel:
        adjustment = adjusting.cancellation(fact, decision)
    elif value is None:
        adjustment = adjusting.to_rows(fact, decision)
    else:
        adjustment = adjusting.correction(fact, value, decision, another=another)
    item = adjustment.standing if dry_run else _begin(adjusting, adjustment, yes=yes)
    if as_json:
        print_json(
            {
                "fact": adjustment.fact.key,
                "corrects": fact,
                "identifier": adjustment.fact.identifier(1),
                "bytes": adjustment.fact.value,
                "billedBytes": _after(adjustment),
                "timestamp": format_instant(adjustment.fact.stamped_at),
                "state": None if item is None else str(item.state),
                "dryRun": dry_run,
            }
        )
    else:
        console.print(_told(adjustment, item))


def _begin(adjusting: Adjusting, adjustment: Adjustment, *, yes: bool) -> LedgerItem:
    if not yes and adjustment.standing is None:
        typer.confirm(f"{_told(adjustment, None)}. Write it down?", abort=True, err=True)
    return adjusting.begin(adjustment)


def _told(adjustment: Adjustment, item: LedgerItem | None) -> str:
    fact, before = adjustment.fact, adjustment.corrected.billed_bytes
    if adjustment.standing is not None:
        return f"{fact.key} was decided before and is {adjustment.standing.state}"
    what = (
        f"{fact.key}: {fact.value:+,} bytes at {fact.stamped_at:%Y-%m-%dT%H:%M:%SZ}, from "
        f"{before:,} to {_after(adjustment):,} bytes billed"
    )
    return what if item is None else f"{what}; enqueued"


def _after(adjustment: Adjustment) -> int:
    counted = adjustment.standing is not None and adjustment.standing.counted
    return adjustment.corrected.billed_bytes + (0 if counted else adjustment.fact.value)
