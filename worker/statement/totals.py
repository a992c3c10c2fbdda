"""The sums over all customers' statements."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.statement.statement import Statement

_NOTHING = Decimal(0)


@dataclass(slots=True)
class Totals:
    """The sums over customers. Bytes are averages and inputs, exact; amounts in major units."""

    customers: int = 0
    storage_bytes: int = 0
    storage_amount: Decimal = _NOTHING
    runs: int = 0
    run_bytes: int = 0
    file_amount: Decimal = _NOTHING
    left_out: int = 0
    missing_days: int = 0
    problems: int = 0

    def add(self, one: Statement) -> None:
        """Count one customer in."""
        self.customers += 1
        self.storage_bytes += one.storage_bytes
        self.storage_amount += one.storage_amount
        self.runs += one.runs.billed
        self.run_bytes += one.runs.total_bytes
        self.file_amount += one.file_amount
        self.left_out += one.runs.left_out
        self.missing_days += len(one.missing)
        self.problems += one.problem is not None

    @property
    def amount(self) -> Decimal:
        """All lines."""
        return self.storage_amount + self.file_amount
