"""Option values that several commands read."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import typer

from producers.billing_month import FIRST_YEAR, BillingMonth, NotABillingMonth
from producers.identity import check_customer_id
from producers.instant import NotAnInstant, parse_instant

if TYPE_CHECKING:
    from worker.known_customers import KnownCustomers


# A reason, not a report: the ledger's items and the controls hold many.
_LONGEST_WORDS = 500


def read_words(text: str, hint: str) -> str:
    """A name or a reason on one line; wrong usage where there is none, or too much."""
    words = " ".join(text.split())
    if not words or len(words) > _LONGEST_WORDS:
        raise typer.BadParameter(f"give 1 to {_LONGEST_WORDS} characters", param_hint=hint)
    return words


def read_customer(text: str | None, hint: str = "--customer") -> str | None:
    """A customer's id, checked; wrong usage where it can be nobody's."""
    if text is None:
        return None
    try:
        return check_customer_id(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def read_known_customer(text: str | None, known: KnownCustomers) -> str | None:
    """The id of a customer of whom there is a trace; wrong usage where there is none."""
    customer = read_customer(text)
    problem = None if customer is None else known.problem(customer)
    if problem is not None:
        raise typer.BadParameter(problem, param_hint="--customer")
    return customer


def read_ended_month(text: str | None, now: datetime) -> BillingMonth:
    """A month that has ended; the last one where none is named."""
    if text is None:
        return BillingMonth.ended_before(now)
    month = read_month(text)
    if month.end > now:
        raise typer.BadParameter(
            f"{month} has not ended; it can be billed from {month.end:%Y-%m-%d} 00:00 UTC on",
            param_hint="--month",
        )
    return month


def read_begun_month(text: str | None, now: datetime, otherwise: BillingMonth) -> BillingMonth:
    """A month of which a minute has passed; ``otherwise`` where none is named."""
    if text is None:
        return otherwise
    month = read_month(text)
    if month.start >= now.replace(second=0, microsecond=0):
        raise typer.BadParameter(f"{month} has not begun", param_hint="--month")
    return month


def read_month(text: str) -> BillingMonth:
    """A month ``YYYY-MM``."""
    try:
        return BillingMonth.parse(text)
    except NotABillingMonth as error:
        raise typer.BadParameter(str(error), param_hint="--month") from None


def read_day(text: str | None, now: datetime, hint: str = "--date") -> date:
    """A day ``YYYY-MM-DD`` that has begun (UTC); today where none is named."""
    today = now.date()
    if text is None:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a day; write YYYY-MM-DD, such as 2026-10-31", param_hint=hint
        ) from None
    if day.year < FIRST_YEAR:
        raise typer.BadParameter(
            f"{day} lies before {FIRST_YEAR}: nothing was stored then", param_hint=hint
        )
    if day > today:
        raise typer.BadParameter(
            f"{day} has not begun (today is {today} UTC): name a day that has",
            param_hint=hint,
        )
    return day


def read_instant(text: str, hint: str) -> datetime:
    """An ISO 8601 instant with an offset."""
    try:
        return parse_instant(text)
    except NotAnInstant as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None
