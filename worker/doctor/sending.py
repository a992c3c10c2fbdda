"""Whether anything is sent at all: the setting, and what an operator has paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.doctor.check import NotChecked, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.controls import ControlTable
    from worker.doctor.check import Verdict
    from worker.settings import Settings

_ABSENT = {"ResourceNotFoundException"}


def look_at_sending(settings: Settings, table: ControlTable) -> Iterator[Verdict]:
    """Tell what is held back."""
    if settings.send == "shadow":
        yield warning(
            "SIFTBEAM_SEND is shadow: everything is recorded and nothing is sent",
            "set SIFTBEAM_SEND=on once this system is to bill",
        )
    try:
        controls = table.read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        raise NotChecked("the ledger is missing, see the tables") from None
    if controls.everybody is not None:
        yield warning(f"sending is paused {controls.everybody}", "siftbeam-billing resume")
    for customer, control in sorted(controls.paused.items()):
        yield warning(
            f"sending is paused for {customer} {control}",
            f"siftbeam-billing resume --customer {customer}",
        )
    if controls.excluded:
        yield ok(f"{len(controls.excluded):,} customers are excluded from billing")
