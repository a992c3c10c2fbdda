"""A month against the one before: what changed, and what somebody should look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from worker.statement.statement import Statement

# So many times more, or less, stands out; below so much money nobody minds.
_TIMES = 3
_NOTABLE_MINOR_UNITS = 100


@dataclass(frozen=True, slots=True)
class Change:
    """A customer's month and the one before.

    Args:
        statement: the month.
        before: the month before.
        running: whether the month still runs: then its files are not all there yet.
    """

    statement: Statement
    before: Statement
    running: bool

    @property
    def difference(self) -> Decimal:
        """The amount less that of the month before; of a running month, storage alone."""
        return self._now - self._then

    @property
    def outlier(self) -> str | None:
        """Why the month stands out against the one before; None where it does not."""
        currency = self.statement.prices.currency
        if abs(currency.minor(self.difference)) < _NOTABLE_MINOR_UNITS:
            return None
        what = "storage " if self.running else ""
        if self._then == 0:
            return f"{what}{currency.format(self._now)} after nothing in {self.before.month}"
        if self._now >= _TIMES * self._then or self._then >= _TIMES * self._now:
            return (
                f"{what}{currency.format(self._now)} after {currency.format(self._then)} in "
                f"{self.before.month}"
            )
        return None

    @property
    def beyond_stripe(self) -> str | None:
        """Why Stripe could not charge the invoice; None where it could."""
        currency = self.statement.prices.currency
        if self.statement.amount <= currency.largest_charge:
            return None
        return (
            f"{currency.format(self.statement.amount)} is more than the "
            f"{currency.format(currency.largest_charge)} that Stripe charges on one invoice: bill "
            "it in parts, or check the daily rows"
        )

    @property
    def _now(self) -> Decimal:
        return self.statement.storage_amount if self.running else self.statement.amount

    @property
    def _then(self) -> Decimal:
        return self.before.storage_amount if self.running else self.before.amount
