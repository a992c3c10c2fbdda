from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.price import CURRENCIES, Price, price_list, prices
from worker.settings import Settings

GIB = 1 << 30
USD, JPY = CURRENCIES["usd"], CURRENCIES["jpy"]
DEFAULT = price_list(Settings())
STORAGE, FILE = DEFAULT.storage, DEFAULT.file


@pytest.mark.parametrize(
    ("held", "dollars"),
    [
        (0, "0.00"),
        (1, "0.10"),
        (GIB - 1, "0.10"),
        (GIB, "0.10"),
        (GIB + 1, "0.20"),
        (1024 * GIB, "102.40"),
        # 15 digits, where a float division would already be off: 931,323 GiB, begun.
        (999_999_999_999_999, "93132.30"),
    ],
)
def test_storage_costs_ten_cents_per_gib_begun(held: int, dollars: str) -> None:
    assert STORAGE.line(held) == Decimal(dollars)


@pytest.mark.parametrize(
    ("taken", "dollars"),
    [(0, "0.00"), (499, "0.00"), (500, "0.01"), (1499, "0.01"), (1500, "0.02"), (123_456, "1.23")],
)
def test_files_cost_a_thousandth_of_a_cent_per_byte_rounded_once_a_line(
    taken: int, dollars: str
) -> None:
    assert FILE.line(taken) == Decimal(dollars)


@given(st.integers(0, 10**15 - 1))
def test_a_line_is_exact(taken: int) -> None:
    # In hundred-thousandths of a dollar, a half cent up: all in integers.
    assert FILE.line(taken) * 100 == (taken + 500) // 1000
    assert STORAGE.line(taken) * 10 == (taken + GIB - 1) // GIB


def test_usage_below_zero_has_no_price() -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        Price(Decimal(1), 1, USD).line(-1)


def test_amounts_for_people() -> None:
    assert USD.format(Decimal("1234.5")) == "$1,234.50"
    assert JPY.format(Decimal(1234)) == "¥1,234"


def test_yen_have_no_minor_unit() -> None:
    yen = prices(JPY, per_gib=Decimal(15), per_file_byte=Decimal("0.0015"), exact=False)

    assert yen.storage.line(GIB + 1) == Decimal(30)
    assert yen.file.line(333) == Decimal(0)
    assert yen.file.line(334) == Decimal(1)


def test_a_price_by_the_byte_has_the_twelve_decimals_that_stripe_keeps() -> None:
    exact = prices(USD, per_gib=Decimal("0.10"), per_file_byte=Decimal(1), exact=True).storage

    assert exact.amount * 100 == Decimal("0.000000009313")
    assert exact.line(1) == Decimal("0.00")
    assert exact.line(100 * GIB) == Decimal("10.00")
