"""The backlog: how many messages a queue holds.

The counts are approximate and may lag by moments
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory


@dataclass(frozen=True, slots=True)
class Count:
    """Messages visible, in flight and delayed."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.in_flight + self.delayed


class Backlog:
    """Counts what queues hold.

    Args:
        sqs: the client.
        queues: where the queues are.
    """

    def __init__(self, sqs: SQSClient, queues: QueueDirectory) -> None:
        self._sqs = sqs
        self._queues = queues

    def of(self, queue: Queue) -> Count:
        """What a queue holds."""
        return self._count(self._queues.url(queue))

    def of_dead_letters(self, queue: Queue) -> Count:
        """What its dead-letter queue holds."""
        return self._count(self._queues.dead_letter_url(queue))

    def _count(self, url: str) -> Count:
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ],
        )["Attributes"]
        return Count(
            visible=int(attributes["ApproximateNumberOfMessages"]),
            in_flight=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
            delayed=int(attributes["ApproximateNumberOfMessagesDelayed"]),
        )
