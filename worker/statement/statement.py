"""The statement: one customer's month, down to the daily rows. Pure figures, nothing is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.statement.runs import NO_RUNS, Runs, billed_bytes, is_troubled
from worker.usage import MonthFigures, month_figures

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from producers.billing_month import BillingMonth
    from worker.ledger.item import LedgerItem, State
    from worker.price import PriceList
    from worker.tables.daily import DailyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One customer's month.

    Args:
        customer_id: the customer.
        month: the month.
        prices: what usage costs.
        days: the daily rows, by date.
        missing: the days that have passed and have no row.
        figures: of the rows as they are now; None where there is none.
        storage: the month's fact; None before it is frozen.
        corrections: what was decided about it since.
        runs: the processing runs.
        notes: what the monthly row says besides.
        skipped: why the month's storage will be recorded only; None where it is to be sent.
        paused: why its fact waits, where sending is paused; None where nothing holds it back.
        problem: why the month cannot be billed as it stands; None where it can.
    """

    customer_id: str
    month: BillingMonth
    prices: PriceList
    days: tuple[DailyRow, ...] = ()
    missing: tuple[date, ...] = ()
    figures: MonthFigures | None = None
    storage: LedgerItem | None = None
    corrections: tuple[LedgerItem, ...] = ()
    runs: Runs = NO_RUNS
    notes: str | None = None
    skipped: str | None = None
    paused: str | None = None
    problem: str | None = None

    @property
    def basis(self) -> MonthFigures | None:
        """What the storage is billed from: as it was frozen, else the figures of the rows."""
        if self.storage is None or self.storage.fact.basis is None:
            return self.figures
        frozen = self.storage.fact.basis
        return MonthFigures(
            average=self.storage.fact.value,
            peak=frozen.peak_bytes,
            total=frozen.total_bytes,
            days=len(frozen.days),
            calendar_days=frozen.calendar_days,
        )

    @property
    def averaged_days(self) -> frozenset[int]:
        """The days of the month that are in the average."""
        if self.storage is None or self.storage.fact.basis is None:
            return frozenset(row.day.day for row in self.days)
        return frozenset(self.storage.fact.basis.days)

    @property
    def rows_differ(self) -> bool:
        """Whether the rows give another average now than the one that was frozen."""
        basis = None if self.storage is None else self.storage.fact.basis
        if self.storage is None or basis is None:
            return False
        last = self.storage.fact.stamped_at.date()
        rows = [row.total_bytes for row in self.days if row.day <= last]
        if not rows:
            return False
        return month_figures(rows, basis.calendar_days).average != self.storage.fact.value

    @property
    def storage_bytes(self) -> int:
        """What is billed: what was frozen and decided since, else the rows' average.

        A fact that is stuck or skipped bills nothing. Stripe bills a negative sum as zero.
        """
        if self.storage is not None:
            return max(0, billed_bytes((self.storage, *self.corrections)))
        billable = self.skipped is None and self.problem is None
        return self.figures.average if billable and self.figures is not None else 0

    @property
    def storage_amount(self) -> Decimal:
        """The storage line, in the currency's major unit."""
        return self.prices.storage.line(self.storage_bytes)

    @property
    def file_amount(self) -> Decimal:
        """The file line, likewise."""
        return self.prices.file.line(self.runs.total_bytes)

    @property
    def amount(self) -> Decimal:
        """Both lines."""
        return self.storage_amount + self.file_amount

    @property
    def storage_state(self) -> State | None:
        """Where the month's fact stands; None before it is frozen."""
        return None if self.storage is None else self.storage.state

    @property
    def troubled(self) -> tuple[LedgerItem, ...]:
        """The facts that did not go the plain way, the month's storage first."""
        whole = self.corrections if self.storage is None else (self.storage, *self.corrections)
        return (*filter(is_troubled, whole), *self.runs.troubled)
