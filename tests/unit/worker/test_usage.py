from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.usage import divide_half_to_even, month_figures

BYTES = st.integers(0, 10**18)


@given(st.lists(BYTES, min_size=1, max_size=31))
@example([1, 2])
@example([2, 3])
@example([10**16, 10**16 + 1])
def test_a_months_figures_are_exact(held: list[int]) -> None:
    figures = month_figures(held)

    # Python rounds an exact fraction half to even.
    assert figures.average == round(Fraction(sum(held), len(held)))
    assert figures.peak == max(held)
    assert figures.total == sum(held)
    assert figures.days == len(held)
    assert min(held) <= figures.average <= max(held)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**6))
def test_a_division_goes_half_to_even(dividend: int, divisor: int) -> None:
    assert divide_half_to_even(dividend, divisor) == round(Fraction(dividend, divisor))


@pytest.mark.parametrize(("held", "average"), [([0, 1], 0), ([1, 2], 2), ([2, 3], 2), ([3, 4], 4)])
def test_halves(held: list[int], average: int) -> None:
    assert month_figures(held).average == average


@pytest.mark.parametrize("held", [[], [5, -1]])
def test_no_day_or_less_than_nothing_is_refused(held: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one recorded day"):
        month_figures(held)


@given(st.lists(BYTES, min_size=1, max_size=31), st.randoms(use_true_random=False))
def test_the_order_of_days_does_not_matter(held: list[int], chance: object) -> None:
    assert month_figures(held) == month_figures(sorted(held)), chance


@given(st.lists(BYTES, min_size=1, max_size=31), st.integers(0, 30))
@example([10], 11)
def test_over_the_calendar_a_day_without_a_row_counts_as_nothing_held(
    held: list[int], absent: int
) -> None:
    whole = len(held) + absent

    figures = month_figures(held, whole)

    assert figures.average == round(Fraction(sum(held), whole))
    assert figures.average == month_figures([*held, *([0] * absent)]).average
    assert (figures.days, figures.divisor) == (len(held), whole)
    assert figures.average <= month_figures(held).average


def test_a_calendar_has_no_fewer_days_than_were_recorded() -> None:
    with pytest.raises(ValueError, match="3 days were recorded, of 2"):
        month_figures([1, 2, 3], 2)
