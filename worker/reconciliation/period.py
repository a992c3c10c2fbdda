"""The period that is compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from producers.billing_month import BillingMonth


@dataclass(frozen=True, slots=True)
class Period:
    """What is compared: from ``start`` (inclusive) to ``end`` (exclusive), whole minutes, UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, month: BillingMonth, now: datetime) -> Period:
        """A month; of a running one, what has passed."""
        start = datetime.combine(month.first_day, time.min, tzinfo=UTC)
        return cls(start, min(month.end, now.replace(second=0, microsecond=0)))
