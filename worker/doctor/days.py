"""The daily rows of the month so far: who lacks which day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from producers.billing_month import BillingMonth
from worker.doctor.check import NotChecked, ok, warning
from worker.report.wording import ranges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from worker.clock import Clock
    from worker.doctor.check import Verdict
    from worker.tables.daily import DailyTable

_ABSENT = {"ResourceNotFoundException", "ValidationException"}
_NAMED = 10
_DAY = timedelta(days=1)


def look_at_days(daily: DailyTable, clock: Clock) -> Iterator[Verdict]:
    """Customers with a day missing between their first row of the month and yesterday.

    A day before the first one is not missing: the customer may have come later. On the 1st the
    month before is looked at, which is about to be billed.
    """
    yesterday = clock.now().date() - _DAY
    month = BillingMonth(yesterday.year, yesterday.month)
    try:
        gaps = list(_gaps(daily, month, yesterday))
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        raise NotChecked("the daily table or its index is missing, see the tables") from None
    if not gaps:
        yield ok(f"{month} complete up to {yesterday}")
        return
    named = "; ".join(f"{customer} {ranges(days)}" for customer, days in gaps[:_NAMED])
    more = f"; and {len(gaps) - _NAMED:,} customers more" if len(gaps) > _NAMED else ""
    first = min(day for _, days in gaps for day in days)
    yield warning(
        f"days without a row, not in the average: {named}{more}",
        f"`siftbeam-billing enqueue daily --date {first}`, and likewise each other day, records "
        "what can still be measured; `siftbeam-billing dlq list` says why the day failed",
    )


def _gaps(
    daily: DailyTable, month: BillingMonth, last: date
) -> Iterator[tuple[str, tuple[date, ...]]]:
    for customer, recorded in daily.recorded_days(month):
        first = min(recorded)
        days = tuple(day for day in month.days if first < day <= last and day not in recorded)
        if days:
            yield customer, days
