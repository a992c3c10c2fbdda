"""``demo``: a month on this machine, billed by the real worker."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated

import typer

from infra.errors import InfraError
from worker.clock import SystemClock
from worker.commands.printing import errors


def demo(
    logs: Annotated[
        bool, typer.Option("--logs", help="Show the worker's log too, on standard error.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Where to leave the report. Default: among the temporary files."),
    ] = None,
) -> None:
    """Play a whole month on embedded AWS and a Stripe simulator; no account anywhere."""
    # The simulator takes a quarter of a second to import, which no other command is to pay.
    from worker.demo.narrator import Narrator  # noqa: PLC0415
    from worker.demo.story import tell  # noqa: PLC0415

    try:
        agreed = tell(Narrator(animate=not logs), SystemClock(), logs=logs, report=report)
    except InfraError as error:
        errors.print(f"siftbeam-billing: {error}", style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None
    if not agreed:
        raise typer.Exit(1)
