from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.billing_month import BillingMonth, NotABillingMonth

INSTANTS = st.datetimes(datetime(2000, 2, 1), datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(INSTANTS)
def test_a_month_that_ended_before_an_instant_is_over_and_the_next_is_not(at: datetime) -> None:
    month = BillingMonth.ended_before(at)

    assert month.end <= at
    assert BillingMonth.containing(at).previous == month
    assert BillingMonth.containing(at).end > at


@given(INSTANTS)
def test_a_month_reads_what_it_writes_and_knows_its_days(at: datetime) -> None:
    month = BillingMonth.containing(at)

    assert BillingMonth.parse(str(month)) == month
    assert month.days[0] == month.first_day
    assert month.days[-1] == month.last_day
    assert month.last_day + timedelta(days=1) == month.end.date()
    assert month.closing_stamp + timedelta(minutes=1) == month.end


@pytest.mark.parametrize(
    ("at", "month"),
    [
        ("2026-12-01T02:00:00+00:00", "2026-11"),
        ("2027-01-01T00:00:00+00:00", "2026-12"),
        ("2028-03-01T02:00:00+00:00", "2028-02"),
        ("2026-10-31T23:59:59+00:00", "2026-09"),
    ],
)
def test_the_month_that_ended(at: str, month: str) -> None:
    assert str(BillingMonth.ended_before(datetime.fromisoformat(at))) == month


def test_the_month_of_an_instant_is_utcs() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert str(BillingMonth.containing(datetime(2026, 11, 1, 8, 59, tzinfo=tokyo))) == "2026-10"


def test_a_leap_februarys_last_day() -> None:
    assert BillingMonth(2028, 2).last_day == date(2028, 2, 29)
    assert BillingMonth(2100, 2).last_day == date(2100, 2, 28)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-13",
        "2026-00",
        "0000-01",
        "2026-1",
        "2026-10-01",
        " 2026-10",
        "2026-10\n",
        "26-10",
        "\uff12\uff10\uff12\uff16-10",
        # No day before the first, no instant after the last: nothing could be billed.
        "0001-01",
        "9999-12",
    ],
)
def test_what_is_no_month_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(NotABillingMonth) as refused:
        BillingMonth.parse(text)
    assert repr(text) in str(refused.value)
