"""The messages on our queues, and how a body becomes one.

All are JSON with ``kind`` and ``version``. A newer version than we know is not guessed at.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, from_json

from producers.billing_month import FIRST_YEAR, LAST_YEAR, BillingMonth
from producers.identity import CustomerId
from producers.instant import format_instant

VERSION = 1
_LONGEST_QUOTE = 80
Day = TypeVar("Day", bound=date)


class UnreadableMessage(ValueError):  # noqa: N818 - reads as what the body is
    """A body that no handler can take, now or later."""


def _utc_text(instant: datetime) -> str:
    return format_instant(instant)


def _check_year(day: Day) -> Day:
    """Keep out what the calendar cannot reckon with, and numbers that were read as 1970."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"the year {day.year} lies outside {FIRST_YEAR} to {LAST_YEAR}")
    return day


def _check_month(text: str) -> str:
    return str(BillingMonth.parse(text))


Instant = Annotated[AwareDatetime, AfterValidator(_check_year), PlainSerializer(_utc_text)]
DayOfYears = Annotated[date, AfterValidator(_check_year)]
MonthText = Annotated[str, AfterValidator(_check_month)]


class Job(StrEnum):
    """What a schedule's tick asks for."""

    DAILY = "daily"
    MONTHLY = "monthly"
    RESOLVE = "resolve"
    RECONCILE = "reconcile"
    SWEEP = "sweep"


class _Message(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore"
    )
    version: Literal[1] = 1

    def body(self) -> str:
        """The message as SQS carries it."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


class SizeCustomer(_Message):
    """Measure what a customer holds, as the row of ``date`` (UTC)."""

    kind: Literal["size_customer"] = "size_customer"
    customer_id: CustomerId
    date: DayOfYears


class BillCustomerMonth(_Message):
    """Bill a customer's storage of a month that has ended.

    ``through`` is the last day that counts for a customer who leaves in the middle of the month; it
    has begun, the month need not have ended.
    """

    kind: Literal["bill_customer_month"] = "bill_customer_month"
    customer_id: CustomerId
    billing_month: MonthText
    through: DayOfYears | None = None

    @model_validator(mode="after")
    def _check_through(self) -> Self:
        if self.through is not None and not self.month.contains(self.through):
            raise ValueError(f"through is {self.through}, which lies outside {self.billing_month}")
        return self

    @property
    def month(self) -> BillingMonth:
        """The month as a value."""
        return BillingMonth.parse(self.billing_month)


class FileProcessed(_Message):
    """An output of a processing run appeared in S3 at ``event_time``."""

    kind: Literal["file_processed"] = "file_processed"
    bucket: str = Field(min_length=1)
    key: str = Field(min_length=1)
    event_time: Instant


class Tick(_Message):
    """A schedule fired: run ``job`` for ``scheduled_time``, whenever it is taken."""

    kind: Literal["tick"] = "tick"
    job: Job
    scheduled_time: Instant


class StripeEvent(_Message):
    """Stripe reports events that it did not count."""

    kind: Literal["stripe_event"] = "stripe_event"
    event_id: str = Field(min_length=1)


class SettleFact(_Message):
    """Bring a fact that stands in the ledger to Stripe: a correction, which no upload asks for."""

    kind: Literal["settle_fact"] = "settle_fact"
    fact: str = Field(min_length=1)


Message = SizeCustomer | BillCustomerMonth | FileProcessed | Tick | StripeEvent | SettleFact
_MODELS: dict[str, TypeAdapter[Message]] = {
    "size_customer": TypeAdapter(SizeCustomer),
    "bill_customer_month": TypeAdapter(BillCustomerMonth),
    "file_processed": TypeAdapter(FileProcessed),
    "tick": TypeAdapter(Tick),
    "stripe_event": TypeAdapter(StripeEvent),
    "settle_fact": TypeAdapter(SettleFact),
}


def parse_object(body: str) -> dict[str, Any]:
    """Read a body as a JSON object.

    Raises:
        UnreadableMessage: no JSON, or JSON of another shape.
    """
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise UnreadableMessage(f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UnreadableMessage(f"the body is JSON, but not an object: {_quote(content)}")
    return content


def parse_message(body: str) -> Message:
    """Read a body as a message of one of our kinds.

    Raises:
        UnreadableMessage: no JSON object, unknown kind, newer version, or a field that is
            missing or wrong; says which, and what was expected.
    """
    content = parse_object(body)
    kind = content.get("kind")
    adapter = _MODELS.get(kind) if isinstance(kind, str) else None
    if adapter is None:
        known = ", ".join(_MODELS)
        raise UnreadableMessage(f"unknown kind {_quote(kind)}; known are {known}")
    version = content.get("version")
    if type(version) is int and version > VERSION:
        raise UnreadableMessage(
            f"{kind} version {version} is newer than this worker's {VERSION}; "
            "deploy the newer worker, then replay"
        )
    if "version" not in content:
        raise UnreadableMessage(f"{kind}: version is missing; expected {VERSION}")
    # true and 1.0 equal 1, and pydantic takes them for it.
    if type(version) is not int:
        raise UnreadableMessage(f"{kind}: version is {_quote(version)}; expected {VERSION}")
    try:
        return adapter.validate_json(body, strict=True)
    except ValidationError as error:
        raise UnreadableMessage(f"{kind}: {describe_problems(error)}") from None


def describe_problems(error: ValidationError) -> str:
    """Say in one line which fields were wrong, and how."""
    return "; ".join(_problem(detail) for detail in error.errors(include_url=False))


def _problem(detail: ErrorDetails) -> str:
    place = ".".join(str(part) for part in detail["loc"]) or "message"
    text = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in {"missing", "value_error"}:
        return f"{place}: {text}"
    return f"{place}: {text}, got {_quote(detail['input'])}"


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
