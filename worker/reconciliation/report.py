"""The report of a reconciliation: every line of a month, and who has no fact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producers.billing_month import BillingMonth
    from worker.reconciliation.line import Line
    from worker.reconciliation.period import Period


@dataclass(frozen=True, slots=True)
class Report:
    """What a reconciliation found.

    Args:
        month: the month.
        period: what of it was compared.
        lines: one per customer and meter.
        missing: customers with daily rows in the month, which has ended, and no fact for it.
    """

    month: BillingMonth
    period: Period
    lines: tuple[Line, ...]
    missing: tuple[str, ...] = ()

    @property
    def agreeing(self) -> int:
        """How many lines agree."""
        return sum(1 for line in self.lines if line.agrees)

    @property
    def differing(self) -> tuple[Line, ...]:
        """The lines that are known to differ."""
        return tuple(line for line in self.lines if line.differs)

    @property
    def unanswered(self) -> int:
        """How many lines Stripe's silence leaves open."""
        return len(self.lines) - self.agreeing - len(self.differing)

    @property
    def clean(self) -> bool:
        """Whether everything agrees."""
        return self.agreeing == len(self.lines) and not self.missing

    @property
    def not_compared(self) -> tuple[str, ...]:
        """What the key may not read, each once."""
        return _once(each for line in self.lines for each in line.not_compared)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why Stripe did not answer, each once."""
        return _once(line.problem for line in self.lines if line.problem is not None)


def _once(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
