"""The keepsake: the month's report as a page, its amounts held against Stripe's invoices."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from worker.report.file import whole_file

if TYPE_CHECKING:
    from worker.demo.narrator import Narrator
    from worker.demo.stage import Stage
    from worker.demo.witness import Witness

_CENT = Decimal("0.01")


def write_report(
    stage: Stage, witness: Witness, narrator: Narrator, wrong: list[str], to: Path | None
) -> None:
    """Write the page, and leave it: the one thing that a demo keeps.

    Args:
        stage: where the story was played.
        witness: reads the invoices.
        narrator: tells where the page is.
        wrong: gains what differs.
        to: the page's path; None for one among the machine's temporary files.
    """
    narrator.scene("The report for finance")
    settings = stage.installation.settings
    report = stage.installation.reports.make(stage.month)
    for one in report.statements:
        for meter, amount in (
            (settings.storage_event_name, one.storage_amount),
            (settings.file_event_name, one.file_amount),
        ):
            line = witness.line(one.customer_id, meter)
            cents = 0 if line is None else line.cents
            if amount != cents * _CENT:
                wrong.append(
                    f"{one.customer_id} {meter}: the report says {amount}, the invoice "
                    f"{cents * _CENT}"
                )
    path = to or Path(tempfile.gettempdir()) / f"siftbeam-billing-demo-{stage.month}.html"
    # Only who makes a page loads the template engine.
    from worker.report.page import render  # noqa: PLC0415

    with whole_file(path) as file:
        file.write(render(report))
    totals, money = report.totals, report.prices.currency.format
    narrator.say(
        f"{totals.customers} customers, {money(totals.amount)} in all, as on the invoices; "
        f"{report.needs_a_person} thing needs a person. Open it in a browser:"
    )
    narrator.say(str(path), indent=5)
