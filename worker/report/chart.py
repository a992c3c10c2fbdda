"""A month's bars as geometry: the template draws them, and the browser stretches them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from worker.report.wording import readable_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.report.month_report import DayTotal

HEIGHT = 100
_STEP = 10
_GAP = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A day's bar in a box ``HEIGHT`` high; ``x`` and ``width`` in the same units.

    Args:
        x: the left edge.
        y: the top edge.
        width: how wide.
        height: how high.
        title: what it says when pointed at.
        gap: whether somebody's row is missing on the day.
    """

    x: int
    y: Decimal
    width: int
    height: Decimal
    title: str
    gap: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, and the largest value among them for the axis."""

    bars: tuple[Bar, ...]
    width: int
    top: str


def chart(days: Sequence[DayTotal]) -> Chart:
    """All customers' storage by day."""
    largest = max((day.total_bytes for day in days), default=0)
    bars = []
    for index, day in enumerate(days):
        share = Decimal(day.total_bytes) * HEIGHT / largest if largest else Decimal(0)
        height = share.quantize(Decimal("0.01"))
        title = f"{day.day}: {readable_bytes(day.total_bytes)} ({day.total_bytes:,} bytes)"
        if day.without:
            title += f", {len(day.without):,} without a row"
        bars.append(
            Bar(index * _STEP, HEIGHT - height, _STEP - _GAP, height, title, bool(day.without))
        )
    return Chart(tuple(bars), len(days) * _STEP, readable_bytes(largest))
