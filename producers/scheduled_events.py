"""EventBridge's own envelope of a schedule, as the tick it stands for.

A rule turns its event into a tick by an input transformer. Where EventBridge gives up on a target
it puts the event on the target's dead-letter queue, and what it puts there is not promised to be
transformed (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html). So a
replay of such a letter has to work too.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from producers.messages import Job, Tick, UnreadableMessage, describe_problems

_DETAIL_TYPE = "Scheduled Event"


class _Envelope(BaseModel):
    time: AwareDatetime
    resources: Annotated[list[str], Field(min_length=1)]


def is_scheduled_event(content: dict[str, Any]) -> bool:
    """Tell whether a JSON object is EventBridge's envelope of a schedule."""
    return content.get("detail-type") == _DETAIL_TYPE


def scheduled_tick(content: dict[str, Any]) -> Tick:
    """The tick of a schedule rule's event; the rule's name ends with its job.

    Raises:
        UnreadableMessage: a field is missing, or the rule is none of ours.
    """
    try:
        envelope = _Envelope.model_validate(content)
        rule = envelope.resources[0]
        for job in Job:
            if rule.endswith(f"-{job}"):
                return Tick(job=job, scheduled_time=envelope.time)
    except ValidationError as error:
        raise UnreadableMessage(f"scheduled event: {describe_problems(error)}") from None
    jobs = ", ".join(Job)
    raise UnreadableMessage(f"scheduled event: rule {rule!r} ends with no job of ours ({jobs})")
