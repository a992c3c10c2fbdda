"""Reading a body, whoever wrote it: one of our messages, or an event of AWS or Stripe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from producers import s3_events, scheduled_events, stripe_events
from producers.messages import parse_message, parse_object

if TYPE_CHECKING:
    from producers.messages import Message


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body asks for.

    Args:
        kind: of its messages; for an event that asks for nothing, of those it would hold.
        messages: one; several for a notification of several objects; none for a test event.
        problem: why a part of it cannot be read; None where all of it can.
    """

    kind: str
    messages: tuple[Message, ...]
    problem: str | None = None


def read_body(body: str) -> Reading:
    """Read a body.

    Raises:
        UnreadableMessage: nobody can take it, now or later; says why.
    """
    content = parse_object(body)
    if scheduled_events.is_scheduled_event(content):
        return Reading("tick", (scheduled_events.scheduled_tick(content),))
    if stripe_events.is_stripe_event(content):
        event = stripe_events.stripe_event(content)
        return Reading("stripe_event", () if event is None else (event,))
    if s3_events.is_s3_event(content):
        found = s3_events.completions(content)
        return Reading("file_processed", found.files, found.problem)
    message = parse_message(body)
    return Reading(message.kind, (message,))
