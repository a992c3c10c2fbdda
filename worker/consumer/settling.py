"""Settling a message with SQS: deleted, given back, or dead-lettered.

A wait that is not the message's fault has no limit of its own, but SQS's redrive would end it after
twenty receipts, without a reason. So such a message is sent anew in time: its copy is confirmed,
then it is deleted, and its count begins again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from producers.instant import format_instant
from worker.consumer.backoff import MOST_RECEIPTS
from worker.consumer.received import FIRST_RECEIVED
from worker.dead_letter import MOST_ATTRIBUTES, Death, dead_letter_attributes, read_dead_letter
from worker.outcome import DeadLetter, Done, Outcome, Retry

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from producers.queues import QueueDirectory
    from worker.clock import Clock
    from worker.consumer.backoff import Backoff
    from worker.consumer.deletions import Deletions
    from worker.consumer.received import ReceivedMessage

_log = structlog.get_logger()
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
LONGEST_VISIBILITY_SECONDS = 43_200
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_LONGEST_DELAY_SECONDS = 900
_TOO_LONG = frozenset({"InvalidParameterValue", "InvalidMessageContents", "InvalidAttributeValue"})


class Settling:
    """Does with a message what its outcome says.

    Args:
        sqs: the client.
        queues: where the queues and their dead-letter queues are.
        deletions: deletes what is done.
        backoff: how long a retry waits that names no time.
        clock: the time.
    """

    def __init__(
        self,
        *,
        sqs: SQSClient,
        queues: QueueDirectory,
        deletions: Deletions,
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self._sqs = sqs
        self._queues = queues
        self._deletions = deletions
        self._backoff = backoff
        self._clock = clock

    def settle(self, message: ReceivedMessage, outcome: Outcome) -> None:
        """Delete, give back or dead-letter; never raises for what SQS did.

        A message that could not be settled comes again by itself when its lease ends.
        """
        try:
            match outcome:
                case Done():
                    self._deletions.add(message.queue, message.receipt_handle)
                case Retry(after=after, limited=limited):
                    seconds = (
                        self._backoff.seconds(message.receive_count) if after is None else after
                    )
                    if limited or message.receive_count < MOST_RECEIPTS:
                        self.give_back(message, seconds)
                    else:
                        self._send_anew(message, seconds)
                        self._deletions.add(message.queue, message.receipt_handle)
                case DeadLetter():
                    self._dead_letter(message, outcome)
                    self._deletions.add(message.queue, message.receipt_handle)
                    _tell(outcome)
        except (BotoCoreError, ClientError) as error:
            _log.warning(
                "a message could not be settled, it will come again",
                action="settle_failed",
                message_id=message.message_id,
                outcome=type(outcome).__name__,
                error=str(error),
            )

    def give_back(self, message: ReceivedMessage, seconds: float) -> None:
        """Make a message visible again after that many seconds."""
        self._sqs.change_message_visibility(
            QueueUrl=self._queues.url(message.queue),
            ReceiptHandle=message.receipt_handle,
            VisibilityTimeout=min(max(0, round(seconds)), LONGEST_VISIBILITY_SECONDS),
        )

    def _send_anew(self, message: ReceivedMessage, seconds: float) -> None:
        """Put a copy on the message's own queue; returns once SQS has confirmed it."""
        # An earlier death, left by SQS's own redrive, does not travel on.
        _, attributes = read_dead_letter(message.attributes)
        if len(attributes) < MOST_ATTRIBUTES:
            attributes[FIRST_RECEIVED] = {
                "DataType": "String",
                "StringValue": format_instant(message.first_received_at),
            }
        self._sqs.send_message(
            QueueUrl=self._queues.url(message.queue),
            MessageBody=message.body,
            MessageAttributes=attributes,
            DelaySeconds=min(max(0, round(seconds)), _LONGEST_DELAY_SECONDS),
        )
        _log.info(
            "waits on as a new message",
            action="message_sent_anew",
            message_id=message.message_id,
            queue=message.queue,
        )

    def _dead_letter(self, message: ReceivedMessage, outcome: DeadLetter) -> None:
        """Put a copy on the dead-letter queue; returns once SQS has confirmed it."""
        url = self._queues.dead_letter_url(message.queue)
        death = Death(
            error_type=outcome.error_type,
            error_message=outcome.reason,
            failed_at=self._clock.now(),
            receive_count=message.receive_count,
            source_queue=self._queues.name(message.queue),
            original_message_id=message.message_id,
        )
        try:
            self._sqs.send_message(
                QueueUrl=url,
                MessageBody=message.body,
                MessageAttributes=dead_letter_attributes(message.attributes, death),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _TOO_LONG:
                raise
            # The body alone fills the queue's limit: the letter is kept, its reason is logged.
            _log.warning(
                "a dead letter leaves no room for its reason",
                action="dead_letter_without_reason",
                message_id=message.message_id,
                reason=outcome.reason,
            )
            _, own = read_dead_letter(message.attributes)
            self._sqs.send_message(QueueUrl=url, MessageBody=message.body, MessageAttributes=own)


def _tell(outcome: DeadLetter) -> None:
    """Let whoever waits for the letter know that it is kept; who is not told asks again."""
    try:
        outcome.when_kept()
    except (BotoCoreError, ClientError) as error:
        _log.warning(
            "the ledger could not note a dead letter, so that another will follow",
            action="letter_not_noted",
            reason=outcome.reason,
            error=str(error),
        )
