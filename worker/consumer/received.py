"""A message as it was received, and its lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - a dataclass field
from typing import TYPE_CHECKING

from producers.instant import from_epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sqs.type_defs import MessageAttributeValueOutputTypeDef, MessageTypeDef

    from producers.queues import Queue

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
        first_received_at: when it was received first, UTC.
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
        first = system.get("ApproximateFirstReceiveTimestamp")
        return cls(
            queue=queue,
            message_id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=message["Body"],
            attributes=message.get("MessageAttributes", {}),
            receive_count=int(system.get("ApproximateReceiveCount", "1")),
            first_received_at=now if first is None else from_epoch(int(first) // _MILLISECONDS),
        )
