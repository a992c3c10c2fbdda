"""The billing month: a calendar month in UTC."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_FORM = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})")
_MONTHS = 12
# Inside the calendar that datetime knows, so that every month has one before and an end.
FIRST_YEAR, LAST_YEAR = 2000, 9998


class NotABillingMonth(ValueError):  # noqa: N818 - reads as what the text is
    """The text is not a calendar month ``YYYY-MM``."""


@dataclass(frozen=True, order=True, slots=True)
class BillingMonth:
    """One calendar month in UTC, written ``YYYY-MM``."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> BillingMonth:
        """Read ``YYYY-MM``.

        Raises:
            NotABillingMonth: another form, or a month that no calendar has.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise NotABillingMonth(f"{text!r} is not a month; write YYYY-MM, such as 2026-10")
        year, month = int(match["year"]), int(match["month"])
        if not (1 <= month <= _MONTHS and FIRST_YEAR <= year <= LAST_YEAR):
            raise NotABillingMonth(f"{text!r}: there is no such month")
        return cls(year, month)

    @classmethod
    def of(cls, day: date) -> BillingMonth:
        """The month that a day lies in."""
        return cls(day.year, day.month)

    @classmethod
    def containing(cls, instant: datetime) -> BillingMonth:
        """The month in which an aware instant lies, in UTC."""
        utc = instant.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def ended_before(cls, instant: datetime) -> BillingMonth:
        """The last month that was over at an aware instant: never the one just begun."""
        return cls.containing(instant).previous

    @property
    def previous(self) -> BillingMonth:
        """The month before."""
        last = self.first_day - timedelta(days=1)
        return BillingMonth(last.year, last.month)

    @property
    def first_day(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def last_day(self) -> date:
        """The last day."""
        return date(self.year, self.month, monthrange(self.year, self.month)[1])

    @property
    def days(self) -> tuple[date, ...]:
        """Every day of the month, in order."""
        return tuple(self.first_day + timedelta(days=n) for n in range(self.last_day.day))

    @property
    def start(self) -> datetime:
        """The first instant of the month, UTC."""
        return datetime.combine(self.first_day, datetime.min.time(), tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first instant after the month, UTC."""
        return datetime.combine(self.last_day + timedelta(days=1), datetime.min.time(), tzinfo=UTC)

    @property
    def closing_stamp(self) -> datetime:
        """23:59:00Z on the last day: inside the period that the month's invoice covers."""
        return closing_stamp_of(self.last_day)

    def contains(self, day: date) -> bool:
        """Whether a day lies in the month."""
        return (day.year, day.month) == (self.year, self.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


def closing_stamp_of(day: date) -> datetime:
    """23:59:00Z of a day."""
    return datetime.combine(day, time(23, 59), tzinfo=UTC)
