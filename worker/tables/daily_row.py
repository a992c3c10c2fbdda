"""A row of the daily table, as it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.tables.attributes import MalformedRow, RowReader
from worker.usage import Source, Usage

if TYPE_CHECKING:
    from worker.tables.attributes import ReadAttributes

# Thirty-one of them still fit into a DynamoDB number, which has 38 digits.
_IMPOSSIBLE_BYTES = 10**30


class BillingStatus(StrEnum):
    """Where a row stands."""

    PENDING = "pending"
    BILLED = "billed"
    FAILED = "failed"


_STATUSES = {str(status): status for status in BillingStatus}


@dataclass(frozen=True, slots=True)
class DailyRow:
    """One day of one customer, as far as billing asks.

    Args:
        day: the date, UTC.
        total_bytes: what was held.
        status: where the row stands.
        ledger_fence: the fence of the ledger item that the row last followed, if any.
        uploaded: what lay under the input prefix; None where the row does not say.
        produced: likewise, the output prefix.
        measured_on: the day it was measured, where that was another than its own.
        measured_from: then, ``versions`` for what there was, ``objects`` for what there was left.
    """

    day: date
    total_bytes: int
    status: BillingStatus
    ledger_fence: int | None
    uploaded: Usage | None = None
    produced: Usage | None = None
    measured_on: str | None = None
    measured_from: str | None = None

    @property
    def measured_late(self) -> bool:
        """Whether it says what was held on another day than its own."""
        return self.measured_on is not None and self.measured_from != Source.VERSIONS

    @property
    def rebuilt(self) -> bool:
        """Whether it was worked out later, of object versions."""
        return self.measured_from == Source.VERSIONS


def read_row(row: ReadAttributes, table: str) -> DailyRow:
    """Read a row.

    Raises:
        MalformedRow: it lacks its bytes or its date makes no sense; names the row.
    """
    reader = RowReader(row, table)
    written = reader.text("date")
    reader = RowReader(row, f"{table} {written}")
    try:
        day = date.fromisoformat(written)
    except ValueError:
        raise MalformedRow(
            f"{table}: {written!r} is no date; remove the row, then replay"
        ) from None
    total = reader.number("totalStorageBytes")
    if not 0 <= total < _IMPOSSIBLE_BYTES:
        raise MalformedRow(
            f"{table} {written}: totalStorageBytes is below zero or beyond anything S3 holds; "
            "mend the row"
        )
    said = reader.text_or_none("billingStatus") or BillingStatus.PENDING
    status = _STATUSES.get(said)
    if status is None:
        raise MalformedRow(f"{table} {written}: billingStatus {said!r} is unknown; mend the row")
    return DailyRow(
        day,
        total,
        status,
        reader.number_or_none("ledgerFence"),
        uploaded=_part(reader, "Input"),
        produced=_part(reader, "Output"),
        measured_on=reader.text_or_none("measuredOn"),
        measured_from=reader.text_or_none("measuredFrom"),
    )


def _part(reader: RowReader, prefix: str) -> Usage | None:
    """What a row says of one prefix: for people alone, so nothing of it stops the billing."""
    try:
        return Usage(
            reader.number(f"totalStorageBytes{prefix}"), reader.number(f"fileCount{prefix}")
        )
    except MalformedRow:
        return None
