"""The report as CSV: a line per customer, the month's days as its last columns.

RFC 4180, UTF-8 with a byte-order mark (spreadsheets take it for another encoding without).
"""

from __future__ import annotations

import csv
from typing import IO, TYPE_CHECKING

from worker.report.wording import ranges

if TYPE_CHECKING:
    from worker.report.month_report import MonthReport
    from worker.statement.statement import Statement

ENCODING = "utf-8-sig"
_COLUMNS = (
    "customerId",
    "billingMonth",
    "averageStorageBytes",
    "peakStorageBytes",
    "dailyUsageSum",
    "totalStorageDays",
    "missingDays",
    "storageBytesBilled",
    "storageUnits",
    "storageAmount",
    "runs",
    "runBytes",
    "runsLeftOut",
    "fileAmount",
    "amount",
    "currency",
    "state",
    "stripeMeterEventId",
    "notes",
)
# A spreadsheet would run a text that begins so as a formula
# (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int


def write_csv(report: MonthReport, file: IO[str]) -> None:
    """Write the customers by id; a day without a row is an empty cell."""
    writer = csv.writer(file)
    days = report.month.days
    writer.writerow([*_COLUMNS, *(day.isoformat() for day in days)])
    for one in report.statements:
        held = {row.day: row.total_bytes for row in one.days}
        writer.writerow(
            [_safe(cell) for cell in (*_row(one), *(held.get(day, "") for day in days))]
        )


def _row(one: Statement) -> tuple[Cell, ...]:
    basis = one.basis
    return (
        one.customer_id,
        str(one.month),
        "" if basis is None else basis.average,
        "" if basis is None else basis.peak,
        "" if basis is None else basis.total,
        0 if basis is None else basis.days,
        ranges(one.missing),
        one.storage_bytes,
        one.prices.storage.units(one.storage_bytes),
        str(one.storage_amount),
        one.runs.billed,
        one.runs.total_bytes,
        one.runs.left_out,
        str(one.file_amount),
        str(one.amount),
        one.prices.currency.code,
        "" if one.storage is None else str(one.storage.state),
        "" if one.storage is None else one.storage.identifier,
        one.problem or one.notes or one.skipped or "",
    )


def _safe(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
