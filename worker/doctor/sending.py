"""Whether anything is sent at all: the setting, and what an operator has paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.doctor.asking import tables_there
from worker.doctor.check import ok, warning
from worker.doctor.shell import billing, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.controls import ControlTable
    from worker.doctor.check import Verdict
    from worker.settings import Settings


def look_at_sending(settings: Settings, table: ControlTable) -> Iterator[Verdict]:
    """Tell what is held back."""
    if settings.send == "shadow":
        yield warning(
            "SIFTBEAM_SEND is shadow: everything is recorded and nothing is sent",
            "once this system is to bill, here and as Send of the compute template",
            setting("SEND", "on"),
        )
    with tables_there("the ledger"):
        controls = table.read()
    if controls.everybody is not None:
        yield warning(
            f"sending is paused {controls.everybody}",
            "send again once the reason is gone",
            billing("resume"),
        )
    for customer, control in sorted(controls.paused.items()):
        yield warning(
            f"sending is paused for {customer} {control}",
            "send again once the reason is gone",
            billing("resume", "--customer", customer),
        )
    if controls.excluded:
        yield ok(f"{len(controls.excluded):,} customers are excluded from billing")
