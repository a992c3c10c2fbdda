"""The letters: what lies on a dead-letter queue, and its way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.dead_letter import read_dead_letter

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from producers.queues import Queue
    from worker.dead_letter import Death
    from worker.demo.stage import Stage

_HELD_SECONDS = 300
_LONGEST_LOOK_SECONDS = 1


@dataclass(frozen=True, slots=True)
class HeldLetter:
    """A dead letter in hand: nobody else sees it for five minutes.

    Args:
        queue: the queue it died on.
        message: as SQS gave it.
        death: why it died; None where SQS itself moved it.
    """

    queue: Queue
    message: MessageTypeDef
    death: Death | None


def take_letters(stage: Stage, queue: Queue) -> tuple[HeldLetter, ...]:
    """At most ten letters of a dead-letter queue."""
    if not stage.installation.backlog.of_dead_letters(queue).visible:
        return ()
    received = stage.installation.clients.sqs.receive_message(
        QueueUrl=stage.installation.queues.dead_letter_url(queue),
        MaxNumberOfMessages=10,
        WaitTimeSeconds=_LONGEST_LOOK_SECONDS,
        VisibilityTimeout=_HELD_SECONDS,
        MessageAttributeNames=["All"],
    ).get("Messages", [])
    return tuple(
        HeldLetter(queue, message, read_dead_letter(message.get("MessageAttributes", {}))[0])
        for message in received
    )


def replay(stage: Stage, letter: HeldLetter) -> None:
    """Put a letter's message on its queue again as it was, then remove the letter."""
    sqs, queues = stage.installation.clients.sqs, stage.installation.queues
    _, attributes = read_dead_letter(letter.message.get("MessageAttributes", {}))
    sqs.send_message(
        QueueUrl=queues.url(letter.queue),
        MessageBody=letter.message["Body"],
        MessageAttributes=attributes,
    )
    sqs.delete_message(
        QueueUrl=queues.dead_letter_url(letter.queue),
        ReceiptHandle=letter.message["ReceiptHandle"],
    )
