"""The rows of a customer's month, following the ledger.

Order: the ledger first, then the month's daily rows, the monthly row last. So a monthly row that
says ``billed`` means that everything before it is done, and a crash anywhere is made good by
doing all of it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from worker.lease import check_lease
from worker.ledger.corrections import Corrected
from worker.ledger.fact import LedgerFactError, storage_key
from worker.ledger.item import LedgerItem, State
from worker.tables.daily import BillingStatus, DailyRow, Mark
from worker.tables.monthly import MeterStatus, MonthlyRow
from worker.usage import MonthFigures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from worker.ledger.fact import StorageBasis
    from worker.ledger.store import Ledger
    from worker.tables.daily import DailyTable
    from worker.tables.monthly import MonthlyTable

_FAILED = frozenset({State.REJECTED, State.REFUSED})


class MonthRows:
    """Writes what the ledger says of a customer's month into the rows that people read.

    Args:
        ledger: what decides.
        daily: the daily rows.
        monthly: the monthly rows.
    """

    def __init__(self, *, ledger: Ledger, daily: DailyTable, monthly: MonthlyTable) -> None:
        self._ledger = ledger
        self._daily = daily
        self._monthly = monthly

    def follow(self, item: LedgerItem, month: BillingMonth, rows: Sequence[DailyRow]) -> None:
        """Mark the counted daily rows, then write the monthly row. Doing it again changes nothing.

        Args:
            item: the month's fact, as it stands.
            month: the month.
            rows: the customer's daily rows of that month, as read before.

        Raises:
            LeaseLost: the message in hand is another worker's by now, which writes the rest.
        """
        status = row_status(item)
        customer = item.fact.customer_id
        self._mark(item, status, rows)
        corrected = self._ledger.corrected(item) if item.counted else Corrected(item)
        notes = notes_on(corrected, month, rows)
        monthly_row = _monthly_row(item, month, status, notes)
        check_lease()
        if not self._monthly.write(monthly_row) and notes is not None:
            self._monthly.note(customer, month, item.fence, notes)

    def note_late_rows(self, customer_id: str, month: BillingMonth) -> None:
        """Name in the month's notes a row that came after the month was claimed."""
        item = self._ledger.find(storage_key(customer_id, str(month)))
        if item is None:
            return
        self._note(item, month, self._daily.month(customer_id, month))

    def follow_correction(self, item: LedgerItem) -> None:
        """Mark the daily rows that a month's correction adds, and name it in the month's notes.

        No other fact marks these rows, so the correction's fence orders what they say.

        Args:
            item: the correction or cancellation, as it stands.
        """
        fact = item.fact
        if fact.correction is None:
            return
        month, customer = BillingMonth.parse(fact.subject), fact.customer_id
        rows = self._daily.month(customer, month)
        if fact.basis is not None:
            self._mark(item, row_status(item), rows)
        billed = self._ledger.find(fact.correction.of)
        if billed is not None and billed.fact.basis is not None:
            self._note(billed, month, rows)

    def _mark(self, item: LedgerItem, status: BillingStatus, rows: Sequence[DailyRow]) -> None:
        """Let the rows follow that a fact was taken from, or that a correction adds."""
        days = basis_of(item).days
        if status is BillingStatus.PENDING:
            return
        mark = Mark(status, item.fence, _event_id(item), item.sent_at)
        behind = [row.day for row in rows if row.day.day in days and _lags(row, mark)]
        check_lease()
        self._daily.mark(item.fact.customer_id, behind, mark)

    def _note(self, item: LedgerItem, month: BillingMonth, rows: Sequence[DailyRow]) -> None:
        notes = notes_on(self._ledger.corrected(item), month, rows)
        if notes is not None:
            self._monthly.note(item.fact.customer_id, month, item.fence, notes)


def row_status(item: LedgerItem) -> BillingStatus:
    """What the rows of a fact are to say."""
    if item.counted:
        return BillingStatus.BILLED
    # What rows say of an earlier generation is over once a later one is a person's, too.
    given_up = item.state is State.MANUAL and item.generation > 1 and item.sent_at is None
    return BillingStatus.FAILED if item.state in _FAILED or given_up else BillingStatus.PENDING


def basis_of(item: LedgerItem) -> StorageBasis:
    """The rows that a month's fact was taken from.

    Raises:
        LedgerFactError: the item is no storage fact, or was damaged.
    """
    if item.fact.basis is None:
        raise LedgerFactError(f"{item.fact.key} names no days; restore the ledger item")
    return item.fact.basis


def notes_on(corrected: Corrected, month: BillingMonth, rows: Sequence[DailyRow]) -> str | None:
    """What a reader of the month has to know; None where there is nothing."""
    item = corrected.item
    basis = basis_of(item)
    notes = []
    last = min(item.fact.stamped_at.date(), month.last_day)
    missing = [day for day in month.days if day <= last and day.day not in basis.days]
    if basis.calendar_days is not None:
        notes.append(f"averaged over all {basis.calendar_days} days of the calendar")
    if missing:
        effect = "not in the average" if basis.calendar_days is None else "counted as nothing held"
        notes.append(f"days without a row, {effect}: {_dates(missing)}")
    if last < month.last_day:
        notes.append(f"billed through {last.isoformat()}, the customer's last day")
    settled = {
        day
        for part in corrected.corrections
        if part.counted and part.fact.basis is not None
        for day in part.fact.basis.days
    }
    late = [row.day for row in rows if row.day.day not in basis.days and row.day.day not in settled]
    if late:
        notes.append(f"rows that came after the month was claimed, not billed: {_dates(late)}")
    remeasured = [row.day for row in rows if row.measured_late and row.day.day in basis.days]
    if remeasured:
        notes.append(f"days measured on a later day: {_dates(remeasured)}")
    rebuilt = [row.day for row in rows if row.rebuilt and row.day.day in basis.days]
    if rebuilt:
        notes.append(f"days rebuilt from object versions: {_dates(rebuilt)}")
    standing = sum(row.total_bytes for row in rows if row.day.day in basis.days)
    present = sum(1 for row in rows if row.day.day in basis.days)
    if present == len(basis.days) and standing != basis.total_bytes:
        notes.append(
            f"the rows now sum to {standing} bytes; billed was the average of {basis.total_bytes}"
        )
    if item.last_error is not None and not item.counted:
        notes.append(item.last_error)
    notes.extend(_said_of(part) for part in corrected.parts[1:])
    if any(part.counted for part in corrected.parts[1:]):
        notes.append(f"billed in all: {corrected.billed_bytes} bytes")
    return "; ".join(notes) or None


def _said_of(part: LedgerItem) -> str:
    """A correction or cancellation in one line."""
    correction = part.fact.correction
    decided = "" if correction is None else f", {correction.by}: {correction.why}"
    cancels = correction is not None and correction.cancels is not None
    what = "cancelled" if cancels else f"corrected by {part.fact.value:+} bytes"
    return f"{what} ({part.state}{decided})"


def _lags(row: DailyRow, mark: Mark) -> bool:
    """Whether a row does not say yet what the ledger says."""
    if row.ledger_fence is None:
        return True
    return row.ledger_fence < mark.fence and row.status is not mark.status


def _event_id(item: LedgerItem) -> str | None:
    """The identifier sent; None where nothing was, or nothing counted."""
    return item.identifier if item.counted and item.sent_at is not None else None


def _monthly_row(
    item: LedgerItem, month: BillingMonth, status: BillingStatus, notes: str | None
) -> MonthlyRow:
    basis = basis_of(item)
    return MonthlyRow(
        customer_id=item.fact.customer_id,
        month=month,
        figures=MonthFigures(
            average=item.fact.value,
            peak=basis.peak_bytes,
            total=basis.total_bytes,
            days=len(basis.days),
            calendar_days=basis.calendar_days,
        ),
        billing_status=status,
        meter_status={
            BillingStatus.BILLED: MeterStatus.SUCCESS,
            BillingStatus.FAILED: MeterStatus.FAILED,
            BillingStatus.PENDING: MeterStatus.PENDING,
        }[status],
        amount=item.fact.value,
        calculated_at=item.created_at,
        event_id=_event_id(item),
        sent_at=item.sent_at,
        notes=notes,
        fence=item.fence,
    )


def _dates(days: Sequence[date]) -> str:
    return ", ".join(day.isoformat() for day in days)
