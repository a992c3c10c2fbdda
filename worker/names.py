"""The tables' names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TableNames:
    """The tables' full names.

    Args:
        prefix: what stands before each, such as ``siftbeam-``.
    """

    prefix: str

    @property
    def customers(self) -> str:
        """The application's customers."""
        return f"{self.prefix}customers"

    @property
    def daily(self) -> str:
        """Storage by customer and day."""
        return f"{self.prefix}storage-usage-daily"

    @property
    def monthly(self) -> str:
        """Storage by customer and month, and its billing."""
        return f"{self.prefix}storage-usage-monthly"

    @property
    def history(self) -> str:
        """The application's processing runs."""
        return f"{self.prefix}processing-history"

    @property
    def ledger(self) -> str:
        """The billing facts."""
        return f"{self.prefix}billing-ledger"

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """The key attributes of the tables whose items are read and written one by one."""
        return {
            self.daily: ("customerId", "date"),
            self.monthly: ("customerId", "billingMonth"),
            self.history: ("processing-historyId",),
            self.ledger: ("fact",),
        }
