"""What usage costs: the two prices, as data.

Amounts are whole cents: Stripe rounds each invoice line to the nearest cent, a half up
(https://docs.stripe.com/billing/subscriptions/decimal-amounts, "Rounding").
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

from worker.ledger.fact import FactKind

CURRENCY = "usd"
_CENT = Decimal("0.01")
# Digits enough for any sum of bytes: nothing is rounded before the cent.
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a meter's usage.

    Args:
        dollars: per unit.
        unit_bytes: the unit, in bytes; a part of one counts as a whole
            (``transform_quantity`` with ``round: up``,
            https://docs.stripe.com/billing/subscriptions/usage-based/transform-quantities).
    """

    dollars: Decimal
    unit_bytes: int

    def line(self, used_bytes: int) -> Decimal:
        """The dollars, to the cent, of the invoice line that bills so many bytes.

        Raises:
            ValueError: below zero bytes.
        """
        if used_bytes < 0:
            raise ValueError(f"{used_bytes} bytes: usage is never below zero")
        units = -(-used_bytes // self.unit_bytes)
        exact = _EXACT.multiply(self.dollars, Decimal(units))
        return exact.quantize(_CENT, ROUND_HALF_UP, _EXACT)


PRICES = {
    # $0.10 per GiB-month.
    FactKind.STORAGE: Price(Decimal("0.10"), 2**30),
    # $0.00001 per byte.
    FactKind.FILE: Price(Decimal("0.00001"), 1),
}


def format_dollars(amount: Decimal) -> str:
    """An amount for people: ``$1,234.50``."""
    return f"${amount:,.2f}"
