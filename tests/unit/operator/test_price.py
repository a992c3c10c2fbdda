from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ledger.fact import FactKind
from worker.price import PRICES, Price, format_dollars

GIB = 1 << 30
STORAGE, FILE = PRICES[FactKind.STORAGE], PRICES[FactKind.FILE]


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
        Price(Decimal(1), 1).line(-1)


def test_dollars_for_people() -> None:
    assert format_dollars(Decimal("1234.5")) == "$1,234.50"
