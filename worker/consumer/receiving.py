"""Receiving: one long poll of one queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.consumer.received import ReceivedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
MOST_A_RECEIPT = 10


class Receiving:
    """Receives from a queue.

    Args:
        queue: which.
        sqs: the client.
        queues: where the queues are.
        clock: the time.
        visibility_seconds: a lease's length.
        wait_seconds: how long one poll waits for a message.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        sqs: SQSClient,
        queues: QueueDirectory,
        clock: Clock,
        visibility_seconds: int,
        wait_seconds: int,
    ) -> None:
        self.queue = queue
        self._sqs = sqs
        self._queues = queues
        self._clock = clock
        self._visibility = visibility_seconds
        self._wait = wait_seconds

    def receive(self, most: int, *, waits: bool = True) -> tuple[Sequence[ReceivedMessage], float]:
        """Up to so many messages, and the monotonic time from which their leases run.

        Args:
            most: ten at most.
            waits: whether to wait for a message where there is none.

        Raises:
            botocore.exceptions.ClientError: SQS refused.
            botocore.exceptions.BotoCoreError: SQS did not answer.
        """
        asked_at = self._clock.monotonic()
        answer = self._sqs.receive_message(
            QueueUrl=self._queues.url(self.queue),
            MaxNumberOfMessages=most,
            WaitTimeSeconds=self._wait if waits else 0,
            VisibilityTimeout=self._visibility,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=[
                "ApproximateReceiveCount",
                "ApproximateFirstReceiveTimestamp",
                "SentTimestamp",
            ],
        )
        # The lease began when SQS answered, not when a long poll was asked; a second for the way.
        received_at = max(asked_at, self._clock.monotonic() - 1)
        now = self._clock.now()
        return [
            ReceivedMessage.read(self.queue, message, now) for message in answer.get("Messages", ())
        ], received_at
