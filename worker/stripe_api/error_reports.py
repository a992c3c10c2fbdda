"""Stripe's reports of events that it took and then did not count.

Thin events ``v1.billing.meter.error_report_triggered`` and ``v1.billing.meter.no_meter_found``,
kept for 30 days: https://docs.stripe.com/api/v2/core/events/list. Samples may be fewer than errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import stripe
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from producers.instant import format_instant
from worker.stripe_api.connection import StripeUnavailable, describe
from worker.stripe_api.secret_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from worker.stripe_api.connection import StripeConnection

TYPES = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")
_PAGE = 100
_RETRIES = 2


@dataclass(frozen=True, slots=True)
class NamedRefusal:
    """One event that was not counted.

    Args:
        identifier: as it was sent.
        reason: Stripe's code and words.
    """

    identifier: str
    reason: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """One report.

    Args:
        id: of the thin event.
        created: when Stripe made it, UTC.
        named: the events it names.
        unnamed: how many more there were.
    """

    id: str
    created: datetime
    named: tuple[NamedRefusal, ...]
    unnamed: int


class ErrorReports(Protocol):
    """Gives Stripe's reports."""

    def since(self, instant: datetime) -> Iterator[ErrorReport]:
        """The reports made at or after an instant, newest first."""
        ...

    def fetch(self, event_id: str) -> ErrorReport:
        """One report by its id."""
        ...


class _Request(BaseModel):
    identifier: str = ""


class _Sample(BaseModel):
    error_message: str = ""
    request: _Request = Field(default_factory=_Request)


class _ErrorType(BaseModel):
    code: str
    error_count: int
    sample_errors: list[_Sample] = Field(default_factory=list)


class _Reason(BaseModel):
    error_types: list[_ErrorType] = Field(default_factory=list)


class _Data(BaseModel):
    reason: _Reason


class _Event(BaseModel):
    id: str
    created: AwareDatetime
    data: _Data | None = None


class StripeErrorReports:
    """Asks Stripe for its reports.

    Args:
        connection: gives the client.
    """

    def __init__(self, connection: StripeConnection) -> None:
        self._connection = connection

    def since(self, instant: datetime) -> Iterator[ErrorReport]:
        """The reports made at or after an instant, newest first, paged to the end.

        Raises:
            StripeUnavailable: Stripe did not answer, or in another shape.
        """
        client = self._connection.keyed_client().client
        try:
            page = client.v2.core.events.list(
                {
                    "types": list(TYPES),
                    "created": {"gte": format_instant(instant)},
                    "limit": _PAGE,
                },
                {"max_network_retries": _RETRIES},
            )
            for event in page.auto_paging_iter():
                yield self._complete(event)
        except stripe.StripeError as error:
            raise StripeUnavailable(f"Stripe's error reports: {describe(error)}") from None

    def fetch(self, event_id: str) -> ErrorReport:
        """One report by its id.

        Raises:
            StripeUnavailable: Stripe did not answer, or in another shape.
        """
        client = self._connection.keyed_client().client
        try:
            event = client.v2.core.events.retrieve(
                event_id, None, {"max_network_retries": _RETRIES}
            )
        except stripe.StripeError as error:
            raise StripeUnavailable(f"Stripe's error report: {describe(error)}") from None
        return _read(event)

    def _complete(self, event: stripe.v2.core.Event) -> ErrorReport:
        """A list may leave the data out; the event itself has it."""
        return _read(event) if "data" in event.to_dict() else self.fetch(event.id)


def _read(event: stripe.v2.core.Event) -> ErrorReport:
    try:
        content = _Event.model_validate(event.to_dict())
    except ValidationError as error:
        raise StripeUnavailable(
            f"Stripe's error report {event.id} has another shape than its documentation says: "
            f"{error.error_count()} fields"
        ) from None
    named: list[NamedRefusal] = []
    errors = 0
    for kind in content.data.reason.error_types if content.data is not None else ():
        errors += kind.error_count
        named.extend(
            NamedRefusal(
                sample.request.identifier, safe_text(f"{kind.code}: {sample.error_message}")
            )
            for sample in kind.sample_errors
            if sample.request.identifier
        )
    return ErrorReport(content.id, content.created, tuple(named), max(0, errors - len(named)))
