"""The tables' names."""

from __future__ import annotations

from dataclasses import dataclass


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
