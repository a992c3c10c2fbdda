"""A message as it was received, and its lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - a dataclass field
from typing import TYPE_CHECKING

from producers.instant import NotAnInstant, from_epoch, parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sqs.type_defs import MessageAttributeValueOutputTypeDef, MessageTypeDef

    from producers.queues import Queue

# On a message that was sent anew: when the first of them was received.
FIRST_RECEIVED = "firstReceivedAt"
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """One receipt of one message.

    Args:
        queue: where it came from.
        message_id: SQS's id: the same at every receipt.
        receipt_handle: names this receipt.
        body: the text.
        attributes: the message attributes as the sender set them.
        receive_count: how often it was received, this time included (approximate).
        first_received_at: when it was received first, UTC; of one that was sent anew, when the
            first of them was.
    """

    queue: Queue
    message_id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, MessageAttributeValueOutputTypeDef]
    receive_count: int
    first_received_at: datetime

    @classmethod
    def read(cls, queue: Queue, message: MessageTypeDef, now: datetime) -> ReceivedMessage:
        """Take over what ``ReceiveMessage`` gave."""
        system = message.get("Attributes", {})
        attributes = dict(message.get("MessageAttributes", {}))
        first = _first_of(attributes)
        if first is None:
            since = system.get("ApproximateFirstReceiveTimestamp")
            first = now if since is None else from_epoch(int(since) // _MILLISECONDS)
        else:
            del attributes[FIRST_RECEIVED]
        return cls(
            queue=queue,
            message_id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=message["Body"],
            attributes=attributes,
            receive_count=int(system.get("ApproximateReceiveCount", "1")),
            first_received_at=first,
        )


def _first_of(attributes: Mapping[str, MessageAttributeValueOutputTypeDef]) -> datetime | None:
    try:
        return parse_instant(attributes[FIRST_RECEIVED].get("StringValue", ""))
    except (KeyError, NotAnInstant):
        return None
