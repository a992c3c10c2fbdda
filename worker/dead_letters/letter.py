"""A letter: a message on a dead-letter queue, its reason taken apart from what it carried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from producers.instant import from_epoch
from worker.dead_letter import Death, clean, read_dead_letter

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from producers.queues import Queue
    from worker.dead_letter import Attributes, ReceivedAttributes

# What EventBridge adds to an event that it could not deliver to a rule's target
# (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).
EVENTBRIDGE_FIELDS = frozenset(
    {
        "RULE_ARN",
        "TARGET_ARN",
        "ERROR_CODE",
        "ERROR_MESSAGE",
        "EXHAUSTED_RETRY_CONDITION",
        "RETRY_ATTEMPTS",
    }
)
MOVED_BY_SQS = "MovedBySqs"
NO_REASON = "NoReason"
_MILLISECONDS = 1000
# What the template gives every queue. A letter that the worker wrote is a message of its own, whose
# clock starts when it is sent; one that SQS moved keeps the clock of its first day
# (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html).
RETENTION = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a message is a dead letter: a name to group by, and a line for a person."""

    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One dead letter, as one receipt found it.

    Args:
        queue: the queue whose dead-letter queue holds it.
        message_id: its id there, the same at every receipt.
        receipt_handle: names this receipt.
        body: the text, as it was sent.
        attributes: every message attribute as it stands on the dead-letter queue.
        own: the attributes that the message had before it was dead-lettered.
        death: what the worker wrote down; None where somebody else put the letter there.
        reason: why it is here.
        sent_at: when SQS first took the message, UTC. SQS keeps it when it moves one itself.
    """

    queue: Queue
    message_id: str
    receipt_handle: str
    body: str
    attributes: ReceivedAttributes
    own: Attributes
    death: Death | None
    reason: Reason
    sent_at: datetime

    @classmethod
    def read(cls, queue: Queue, message: MessageTypeDef, now: datetime) -> Letter:
        """Take over what ``ReceiveMessage`` gave."""
        attributes = message.get("MessageAttributes", {})
        system = message.get("Attributes", {})
        death, own = read_dead_letter(attributes)
        from_rule = attributes.keys() >= {"RULE_ARN", "TARGET_ARN"}
        if from_rule:
            own = {name: value for name, value in own.items() if name not in EVENTBRIDGE_FIELDS}
        if death is not None:
            reason = Reason(death.error_type, death.error_message)
        elif from_rule:
            reason = _eventbridge_reason(attributes)
        elif "DeadLetterQueueSourceArn" in system:
            reason = Reason(
                MOVED_BY_SQS, "moved by SQS after 20 receipts, or the queue's own maxReceiveCount"
            )
        else:
            reason = Reason(NO_REASON, "no reason travels with it: put here by hand, or too long")
        sent = system.get("SentTimestamp")
        return cls(
            queue=queue,
            message_id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=message["Body"],
            attributes=attributes,
            own=own,
            death=death,
            reason=reason,
            sent_at=now if sent is None else from_epoch(int(sent) // _MILLISECONDS),
        )

    @property
    def since(self) -> datetime:
        """When it failed, as far as is known, UTC; its age counts from here."""
        return self.sent_at if self.death is None else self.death.failed_at

    @property
    def kept_until(self) -> datetime:
        """When SQS drops it, UTC."""
        return self.sent_at + RETENTION

    @property
    def original_message_id(self) -> str:
        """The id that the message had on its queue."""
        return self.message_id if self.death is None else self.death.original_message_id

    def is_named(self, text: str) -> bool:
        """Whether ``text`` begins its id, or the id that it had on its queue."""
        return self.message_id.startswith(text) or self.original_message_id.startswith(text)


def _eventbridge_reason(attributes: ReceivedAttributes) -> Reason:
    def value(name: str) -> str:
        return attributes[name].get("StringValue", "") if name in attributes else ""

    rule = value("RULE_ARN").rsplit("/", 1)[-1]
    text = f"EventBridge could not deliver for rule {rule}: {value('ERROR_MESSAGE')}"
    return Reason(clean(value("ERROR_CODE")), clean(text))
