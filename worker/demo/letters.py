"""The letters: what lies on a dead-letter queue, seen without disturbing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.dead_letter import read_dead_letter

if TYPE_CHECKING:
    from producers.queues import Queue
    from worker.dead_letter import Death
    from worker.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class SeenLetter:
    """A dead letter as it was seen.

    Args:
        message_id: its id on the dead-letter queue.
        death: why it died; None where SQS itself moved it.
    """

    message_id: str
    death: Death | None


def see_letters(stage: Stage, queue: Queue) -> tuple[SeenLetter, ...]:
    """At most ten letters of a dead-letter queue, which stay visible there."""
    if not stage.installation.backlog.of_dead_letters(queue).visible:
        return ()
    received = stage.installation.clients.sqs.receive_message(
        QueueUrl=stage.installation.queues.dead_letter_url(queue),
        MaxNumberOfMessages=10,
        WaitTimeSeconds=1,
        VisibilityTimeout=0,
        MessageAttributeNames=["All"],
    ).get("Messages", [])
    return tuple(
        SeenLetter(message["MessageId"], read_dead_letter(message.get("MessageAttributes", {}))[0])
        for message in received
    )
