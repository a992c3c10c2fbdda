"""The daily rows of the month so far: who lacks which day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from worker.doctor.asking import tables_there
from worker.doctor.check import ok, warning
from worker.doctor.shell import billing
from worker.report.wording import ranges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from worker.clock import Clock
    from worker.doctor.check import Verdict
    from worker.tables.daily import DailyTable

_NAMED = 10
_DAY = timedelta(days=1)


def look_at_days(daily: DailyTable, clock: Clock) -> Iterator[Verdict]:
    """Customers with a day missing between their first row of the month and yesterday.

    A day before the first one is not missing: the customer may have come later. On the 1st the
    month before is looked at, which is about to be billed.
    """
    yesterday = clock.now().date() - _DAY
    month = BillingMonth(yesterday.year, yesterday.month)
    with tables_there("the daily table"):
        gaps = list(_gaps(daily, month, yesterday))
    if not gaps:
        yield ok(f"{month} complete up to {yesterday}")
        return
    named = "; ".join(f"{customer} {ranges(days)}" for customer, days in gaps[:_NAMED])
    more = f"; and {len(gaps) - _NAMED:,} customers more" if len(gaps) > _NAMED else ""
    lacking = sorted({day for _, days in gaps for day in days})
    only = {customer for customer, _ in gaps} if len(gaps) == 1 else ()
    narrowed = [word for customer in only for word in ("--customer", customer)]
    yield warning(
        f"days without a row, not in the average: {named}{more}",
        "see why they failed (`siftbeam-billing dlq list`), then measure what can still be "
        "measured; nothing that is there is touched"
        + (f". {len(lacking) - _NAMED:,} days more" if len(lacking) > _NAMED else ""),
        *(billing("enqueue", "daily", "--date", str(day), *narrowed) for day in lacking[:_NAMED]),
    )


def _gaps(
    daily: DailyTable, month: BillingMonth, last: date
) -> Iterator[tuple[str, tuple[date, ...]]]:
    for customer, recorded in daily.recorded_days(month):
        first = min(recorded)
        days = tuple(day for day in month.days if first < day <= last and day not in recorded)
        if days:
            yield customer, days
