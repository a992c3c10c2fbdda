"""Refusals after acceptance, as thin events.

Sources:
    https://docs.stripe.com/api/v2/core/events/event-types
        (`v1.billing.meter.error_report_triggered`, `v1.billing.meter.no_meter_found`)
    https://docs.stripe.com/api/v2/core/events/list (filters; events of the last 30 days)
    https://docs.stripe.com/api-v2-overview (v2 pages: `next_page_url`, `previous_page_url`)
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.errors import ApiError, invalid
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.settings import Settings

_KEPT = 30 * 24 * 60 * 60
_LARGEST_PAGE = 100
_MOST_TYPES = 20
_MESSAGES = {
    "archived_meter": "The meter {meter} is archived.",
    "meter_event_customer_not_found": "No customer {customer} was found for the meter {meter}.",
    "no_meter": "No meter was found for the event.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that no longer counts. `at` is in epoch seconds."""

    identifier: str
    meter: str
    customer: str
    code: str
    at: int
    livemode: bool


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """A thin event about the refusals of one meter. Times are epoch seconds."""

    id: str
    kind: str
    meter: str
    created: int
    livemode: bool
    refusals: tuple[Refusal, ...]
    samples: int

    def json(self) -> Json:
        """Stripe's JSON form, `data` included."""
        event: dict[str, Json] = {
            "id": self.id,
            "object": "v2.core.event",
            "type": self.kind,
            "created": _instant(self.created),
            "context": None,
            "livemode": self.livemode,
            "reason": None,
            "changes": None,
            "data": {
                "developer_message_summary": _summary(self.refusals),
                "validation_start": _instant(min(refusal.at for refusal in self.refusals)),
                "validation_end": _instant(self.created),
                "reason": {
                    "error_count": len(self.refusals),
                    "error_types": self._error_types(),
                },
            },
        }
        if self.kind == "v1.billing.meter.error_report_triggered":
            event["related_object"] = {
                "id": self.meter,
                "type": "billing.meter",
                "url": f"/v1/billing/meters/{self.meter}",
            }
        return event

    def _error_types(self) -> list[Json]:
        types: list[Json] = []
        for code in sorted({refusal.code for refusal in self.refusals}):
            of_code = [refusal for refusal in self.refusals if refusal.code == code]
            samples: list[Json] = [
                {
                    "error_message": _message(refusal),
                    "request": {"identifier": refusal.identifier},
                }
                for refusal in of_code[: self.samples]
            ]
            types.append({"code": code, "error_count": len(of_code), "sample_errors": samples})
        return types


class ErrorReports:
    """Refusals that wait for their report, and the reports."""

    def __init__(self, ids: Ids, settings: Callable[[], Settings]) -> None:
        self._ids = ids
        self._settings = settings
        self._waiting: list[Refusal] = []
        self._reports: list[ErrorReport] = []

    def add(self, refusal: Refusal) -> None:
        """Put a refusal into the next report of its meter."""
        self._waiting.append(refusal)

    def due(self) -> int | None:
        """When the next report is due, in epoch seconds."""
        if not self._waiting:
            return None
        return self._waiting[0].at + self._settings().report_delay_seconds

    def report(self) -> None:
        """Make the report that is due: all that waits of the first one's meter and kind."""
        first = self._waiting[0]
        at = first.at + self._settings().report_delay_seconds
        batch: list[Refusal] = []
        rest: list[Refusal] = []
        for refusal in self._waiting:
            joins = (
                refusal.at <= at
                and refusal.meter == first.meter
                and (refusal.code == "no_meter") == (first.code == "no_meter")
            )
            (batch if joins else rest).append(refusal)
        self._waiting = rest
        kind = "no_meter_found" if first.code == "no_meter" else "error_report_triggered"
        self._reports.append(
            ErrorReport(
                id=self._ids.next("evt"),
                kind=f"v1.billing.meter.{kind}",
                meter=first.meter,
                created=at,
                livemode=first.livemode,
                refusals=tuple(batch),
                samples=self._settings().report_samples,
            )
        )

    def list(self, call: Call) -> Json:
        """`GET /v2/core/events`, newest first."""
        form = call.form
        form.only("types", "object_id", "created", "limit", "page", *_CREATED)
        types = form.texts("types")
        if len(types) > _MOST_TYPES:
            raise invalid("At most 20 types can be asked for.", "types")
        limit = form.integer("limit")
        limit = 10 if limit is None else limit
        if not 1 <= limit <= _LARGEST_PAGE:
            raise invalid(f"Invalid limit: {limit}. It can range between 1 and 100.", "limit")
        object_id = form.text("object_id")
        bounds = _created_bounds(call)
        found = [
            report
            for report in reversed(self._reports)
            if call.now - report.created <= _KEPT
            and (not types or report.kind in types)
            and object_id in (None, report.meter)
            and all(_FITS[name](report.created, bound.at) for name, bound in bounds.items())
        ]
        start = _page_start(found, form.text("page"))
        filters = [("limit", str(limit))]
        filters += [(f"types[{number}]", kind) for number, kind in enumerate(types)]
        filters += [("object_id", object_id)] if object_id else []
        filters += [(f"created[{name}]", bound.text) for name, bound in bounds.items()]

        def url(position: int) -> str:
            return f"{call.path}?{urlencode([*filters, ('page', found[position].id)])}"

        end = start + limit
        return {
            "data": [report.json() for report in found[start:end]],
            "next_page_url": url(end) if end < len(found) else None,
            "previous_page_url": url(max(0, start - limit)) if start else None,
        }

    def retrieve(self, call: Call) -> Json:
        """`GET /v2/core/events/{id}`."""
        for report in self._reports:
            if report.id == call.args[0] and call.now - report.created <= _KEPT:
                return report.json()
        raise ApiError(404, f"No such event: '{call.args[0]}'", code="not_found")


@dataclass(frozen=True, slots=True)
class _Bound:
    text: str
    at: float


_FITS: dict[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_CREATED = tuple(f"created_{name}" for name in _FITS)


def _created_bounds(call: Call) -> dict[str, _Bound]:
    """`created[gte]`, as the libraries send it, or `created_gte`."""
    nested = call.form.section("created")
    nested.only(*_FITS)
    bounds: dict[str, _Bound] = {}
    for name in _FITS:
        text = nested.text(name) or call.form.text(f"created_{name}")
        if text is None:
            continue
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            raise invalid(f"Invalid timestamp: {text}; expected RFC 3339.", nested.name(name))
        bounds[name] = _Bound(text, instant.timestamp())
    return bounds


def _page_start(found: Sequence[ErrorReport], token: str | None) -> int:
    if token is None:
        return 0
    for position, report in enumerate(found):
        if report.id == token:
            return position
    raise invalid(f"Invalid page: {token}", "page")


def _summary(refusals: Sequence[Refusal]) -> str:
    if len(refusals) == 1:
        return "There is 1 invalid event"
    return f"There are {len(refusals)} invalid events"


def _message(refusal: Refusal) -> str:
    template = _MESSAGES.get(refusal.code, "The event was refused: {code}.")
    return template.format(meter=refusal.meter, customer=refusal.customer, code=refusal.code)


def _instant(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
