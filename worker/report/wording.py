"""Figures as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024


def readable_bytes(count: int) -> str:
    """Bytes in the unit that suits them, two decimals: ``2.50 TiB``."""
    size, unit = Decimal(count), 0
    while abs(size) >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    if unit == 0:
        return f"{count:,} byte{'' if count == 1 else 's'}"
    return f"{size.quantize(Decimal('0.01'), ROUND_HALF_UP):,} {_UNITS[unit]}"


def ranges(days: Sequence[date]) -> str:
    """Days as ``2026-10-03 to 2026-10-05, 2026-10-09``."""
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days == 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
