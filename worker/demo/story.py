"""The story: all scenes in their order, and how it ended."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from worker.demo.keepsake import write_report
from worker.demo.reckoning import reconcile
from worker.demo.scenes import bill_runs, bill_the_month, meet_customers, size_the_day
from worker.demo.stage import open_stage
from worker.demo.witness import Witness

if TYPE_CHECKING:
    from pathlib import Path

    from worker.clock import Clock
    from worker.demo.narrator import Narrator


def tell(
    narrator: Narrator, real: Clock, *, logs: bool = False, report: Path | None = None
) -> bool:
    """Play everything; returns whether every number agreed.

    Args:
        narrator: tells it.
        real: the machine's time: the story plays in a month that lies behind it.
        logs: whether the worker's log goes to standard error.
        report: where the report's page is left; None for the machine's temporary files.

    Raises:
        EmbeddedAwsError: the emulator is not installed, or did not start.
        Stalled: a queue did not become empty.
    """
    wrong: list[str] = []
    narrator.say(
        "A month of SiftBeam Billing on this machine: embedded AWS, a Stripe simulator, the real "
        "worker, and a clock that leaps. No account anywhere; nothing is kept but a report."
    )
    began = real.monotonic()
    with ExitStack() as opened:
        with narrator.waiting("setting up"):
            stage = opened.enter_context(open_stage(real.now(), logs=logs))
        witness = Witness(stage)
        meet_customers(stage, witness, narrator, wrong)
        size_the_day(stage, witness, narrator, wrong)
        bill_runs(stage, narrator, wrong)
        bill_the_month(stage, witness, narrator, wrong)
        reconcile(stage, witness, narrator, wrong)
        write_report(stage, witness, narrator, wrong, report)
    narrator.scene("The verdict")
    for difference in wrong:
        narrator.say(difference, style="red")
    seconds = round(real.monotonic() - began)
    if wrong:
        narrator.say(f"{len(wrong)} differences, named above ({seconds} s).", style="bold red")
    else:
        narrator.say(
            f"Every number agrees, to the byte and to the cent ({seconds} s).", style="bold green"
        )
    return not wrong
