"""Stripe's thin events as an EventBridge destination delivers them.

https://docs.stripe.com/event-destinations/eventbridge: the detail names the event; what it says is
asked of Stripe by its id.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from producers.messages import StripeEvent, UnreadableMessage, describe_problems

_SOURCE = "aws.partner/stripe.com"
ERROR_REPORTS = frozenset(
    {"v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"}
)


class _Detail(BaseModel):
    id: str = Field(min_length=1)


class _Envelope(BaseModel):
    detail_type: Annotated[str, Field(alias="detail-type")]
    detail: _Detail


def is_stripe_event(content: dict[str, Any]) -> bool:
    """Tell whether a JSON object came from Stripe's EventBridge destination."""
    source = content.get("source")
    return isinstance(source, str) and source.startswith(_SOURCE)


def stripe_event(content: dict[str, Any]) -> StripeEvent | None:
    """The error report that an envelope tells of; None for an event of another type.

    Raises:
        UnreadableMessage: a field is missing or wrong.
    """
    try:
        envelope = _Envelope.model_validate(content)
    except ValidationError as error:
        raise UnreadableMessage(f"Stripe event: {describe_problems(error)}") from None
    if envelope.detail_type not in ERROR_REPORTS:
        return None
    return StripeEvent(event_id=envelope.detail.id)
