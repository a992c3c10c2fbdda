"""Monthly billing periods.

Source: https://docs.stripe.com/billing/subscriptions/billing-cycle

A period ends on the anchor's day and time of each month, or on the month's last day where the
month is too short for it.
"""

from calendar import monthrange
from datetime import UTC, datetime


def next_boundary(anchor: int, after: int) -> int:
    """The first period boundary later than `after`; all in epoch seconds."""
    months = _months_between(anchor, after)
    while (boundary := _shifted(anchor, months)) <= after:
        months += 1
    return boundary


def _months_between(anchor: int, instant: int) -> int:
    first, then = datetime.fromtimestamp(anchor, UTC), datetime.fromtimestamp(instant, UTC)
    return (then.year - first.year) * 12 + then.month - first.month


def _shifted(anchor: int, months: int) -> int:
    first = datetime.fromtimestamp(anchor, UTC)
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    day = min(first.day, monthrange(year, month + 1)[1])
    return int(first.replace(year=year, month=month + 1, day=day).timestamp())
