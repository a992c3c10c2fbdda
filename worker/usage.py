"""What a customer holds, and what a month of it comes to: exact integers, no floats."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
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


class Source(StrEnum):
    """From what a measure is known: the objects as they are now, or versions as they were."""

    OBJECTS = "objects"
    VERSIONS = "versions"


@dataclass(frozen=True, slots=True)
class Measure:
    """What a customer holds, or held."""

    usage: CustomerUsage
    source: Source = Source.OBJECTS


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """A month's daily bytes, summed up.

    Args:
        average: the sum divided, half to even.
        peak: the largest day.
        total: the sum.
        days: how many days were recorded.
        calendar_days: how many days the sum was divided by, where all of the calendar's count;
            None where the recorded ones do.
    """

    average: int
    peak: int
    total: int
    days: int
    calendar_days: int | None = None

    @property
    def divisor(self) -> int:
        """How many days the sum was divided by."""
        return self.days if self.calendar_days is None else self.calendar_days


def month_figures(daily_bytes: Iterable[int], calendar_days: int | None = None) -> MonthFigures:
    """Sum up a month of at least one recorded day.

    Args:
        daily_bytes: of the recorded days.
        calendar_days: how many days to divide by; None for as many as are recorded.

    Raises:
        ValueError: no day, a negative one, or more days than the calendar is to have.
    """
    recorded = list(daily_bytes)
    if not recorded or min(recorded) < 0:
        raise ValueError("a month needs at least one recorded day, and none below zero bytes")
    if calendar_days is not None and calendar_days < len(recorded):
        raise ValueError(f"{len(recorded)} days were recorded, of {calendar_days} there are")
    total = sum(recorded)
    return MonthFigures(
        average=divide_half_to_even(total, calendar_days or len(recorded)),
        peak=max(recorded),
        total=total,
        days=len(recorded),
        calendar_days=calendar_days,
    )


def divide_half_to_even(dividend: int, divisor: int) -> int:
    """Divide two integers, the divisor positive; a half goes to the even neighbour."""
    quotient, remainder = divmod(dividend, divisor)
    twice = 2 * remainder
    if twice > divisor or (twice == divisor and quotient % 2 == 1):
        quotient += 1
    return quotient
