"""What usage costs: the two prices, as the settings name them.

Stripe rounds each invoice line once to the currency's minor unit, a half up
(https://docs.stripe.com/billing/subscriptions/decimal-amounts, "Rounding"). Which prices a customer
really has is Stripe's to say; ``stripe check`` compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

from worker.ledger.fact import FactKind

if TYPE_CHECKING:
    from worker.settings import Settings

GIB = 2**30
# https://docs.stripe.com/api/prices/create: unit_amount_decimal has at most 12 decimal places.
_STRIPE_DECIMALS = Decimal(1).scaleb(-12)
# Digits enough for any sum of bytes: nothing is rounded before the minor unit.
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of invoices (https://docs.stripe.com/currencies#minor-units).

    Args:
        code: as Stripe writes it.
        sign: as people do.
        decimals: how many digits its minor unit has: 2 for cents, 0 for yen.
    """

    code: str
    sign: str
    decimals: int

    @property
    def largest_charge(self) -> Decimal:
        """The most that one invoice may come to, in major units.

        https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts: eight digits of the
        minor unit.
        """
        return Decimal(99_999_999).scaleb(-self.decimals)

    def minor(self, amount: Decimal) -> Decimal:
        """An amount in the minor unit: cents, or whole yen."""
        return amount.scaleb(self.decimals, _EXACT)

    def rounded(self, amount: Decimal) -> Decimal:
        """An amount to the minor unit, a half up, as Stripe rounds a line."""
        return amount.quantize(Decimal(1).scaleb(-self.decimals), ROUND_HALF_UP, _EXACT)

    def format(self, amount: Decimal) -> str:
        """An amount for people: ``$1,234.50``, ``¥1,235``."""
        sign = "-" if amount < 0 else ""
        return f"{sign}{self.sign}{abs(amount):,.{self.decimals}f}"


CURRENCIES = {
    "usd": Currency("usd", "$", 2),
    "jpy": Currency("jpy", "¥", 0),
}


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a meter's usage.

    Args:
        amount: per unit, in the currency's major unit.
        unit_bytes: the unit, in bytes; a part of one counts as a whole
            (``transform_quantity`` with ``round: up``,
            https://docs.stripe.com/billing/subscriptions/usage-based/transform-quantities).
        currency: what it is paid in.
    """

    amount: Decimal
    unit_bytes: int
    currency: Currency

    def units(self, used_bytes: int) -> int:
        """How many units so many bytes come to, a part of one counting as a whole.

        Raises:
            ValueError: below zero bytes.
        """
        if used_bytes < 0:
            raise ValueError(f"{used_bytes} bytes: usage is never below zero")
        return -(-used_bytes // self.unit_bytes)

    def line(self, used_bytes: int) -> Decimal:
        """What the invoice line that bills so many bytes comes to, in major units.

        Raises:
            ValueError: below zero bytes.
        """
        exact = _EXACT.multiply(self.amount, Decimal(self.units(used_bytes)))
        return self.currency.rounded(exact)


@dataclass(frozen=True, slots=True)
class PriceList:
    """What both meters' usage costs, in one currency."""

    storage: Price
    file: Price

    def of(self, kind: FactKind) -> Price:
        """The price of a kind of fact."""
        return self.storage if kind is FactKind.STORAGE else self.file

    @property
    def currency(self) -> Currency:
        """What both are paid in."""
        return self.storage.currency


def price_list(settings: Settings) -> PriceList:
    """The prices that the settings name."""
    return prices(
        CURRENCIES[settings.currency],
        per_gib=settings.storage_price,
        per_file_byte=settings.file_price,
        exact=settings.storage_unit == "byte",
    )


def prices(
    currency: Currency, *, per_gib: Decimal, per_file_byte: Decimal, exact: bool
) -> PriceList:
    """Prices in a currency's major unit, as Stripe can hold them.

    Args:
        currency: what is paid in.
        per_gib: for a GiB-month of storage.
        per_file_byte: for a byte processed.
        exact: whether storage is priced by the byte instead of by the GiB begun. Stripe keeps such
            a price with 12 decimal places of the minor unit, and so is it here.
    """
    storage = Price(per_gib, GIB, currency)
    if exact:
        per_byte = _EXACT.divide(currency.minor(per_gib), Decimal(GIB))
        kept = per_byte.quantize(_STRIPE_DECIMALS, ROUND_HALF_EVEN, _EXACT)
        storage = Price(kept.scaleb(-currency.decimals, _EXACT), 1, currency)
    return PriceList(storage, Price(per_file_byte, 1, currency))
