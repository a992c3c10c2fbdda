"""What a customer holds, and what a month of it comes to: exact integers, no floats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and objects under one prefix."""

    total_bytes: int
    objects: int


@dataclass(frozen=True, slots=True)
class CustomerUsage:
    """What a customer holds in both of their prefixes."""

    uploaded: Usage
    produced: Usage

    @property
    def total_bytes(self) -> int:
        """Bytes in both."""
        return self.uploaded.total_bytes + self.produced.total_bytes

    @property
    def objects(self) -> int:
        """Objects in both."""
        return self.uploaded.objects + self.produced.objects


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """A month's daily bytes, summed up.

    Args:
        average: the sum over the recorded days, half to even.
        peak: the largest day.
        total: the sum.
        days: how many days were recorded.
    """

    average: int
    peak: int
    total: int
    days: int


def month_figures(daily_bytes: Iterable[int]) -> MonthFigures:
    """Sum up a month of at least one recorded day.

    Raises:
        ValueError: no day, or a negative one.
    """
    recorded = list(daily_bytes)
    if not recorded or min(recorded) < 0:
        raise ValueError("a month needs at least one recorded day, and none below zero bytes")
    total = sum(recorded)
    return MonthFigures(
        average=divide_half_to_even(total, len(recorded)),
        peak=max(recorded),
        total=total,
        days=len(recorded),
    )


def divide_half_to_even(dividend: int, divisor: int) -> int:
    """Divide two integers, the divisor positive; a half goes to the even neighbour."""
    quotient, remainder = divmod(dividend, divisor)
    twice = 2 * remainder
    if twice > divisor or (twice == divisor and quotient % 2 == 1):
        quotient += 1
    return quotient
