"""The tolerance: how far a row may be from the inventory, which is of another instant."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Either bytes or a share of the larger figure.

    Args:
        total_bytes: so many are no difference.
        share: nor is so much of the larger of two figures; from 0 to 1.
    """

    total_bytes: int = 0
    share: Fraction = Fraction(0)

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """Read ``1000000`` (bytes) or ``0.5%``.

        Raises:
            ValueError: it is neither.
        """
        try:
            amount = Decimal(text.removesuffix("%"))
        except InvalidOperation:
            amount = Decimal("NaN")
        if amount.is_finite() and amount >= 0:
            if text.endswith("%") and amount <= _WHOLE:
                return cls(share=Fraction(amount) / _WHOLE)
            if not text.endswith("%") and amount == int(amount):
                return cls(total_bytes=int(amount))
        raise ValueError(f"{text!r} is neither bytes, such as 1000000, nor a share, such as 0.5%")

    def covers(self, first: int, second: int) -> bool:
        """Whether two figures, in bytes, agree. Exact: no float is in it."""
        apart = abs(first - second)
        return apart <= self.total_bytes or apart <= self.share * max(first, second)
