"""The dead-letter queues as the errands meet them: opened for a pass, and SQS's own time."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from worker.consumer.backlog import Backlog
from worker.dead_letters.browsing import Browsing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock


class DeadLetterQueues:
    """Opens passes.

    Args:
        sqs: the client.
        directory: where the queues and their dead-letter queues are.
        clock: the time.
        seconds: the shortest time a letter is hidden while a command has it in hand.
    """

    def __init__(
        self, *, sqs: SQSClient, directory: QueueDirectory, clock: Clock, seconds: int
    ) -> None:
        self.sqs = sqs
        self.directory = directory
        self.clock = clock
        self.seconds = seconds
        self._backlog = Backlog(sqs, directory)

    def visible(self, queues: Sequence[Queue]) -> int:
        """How many letters the queues show now, by SQS's approximate count."""
        return sum(self._backlog.of_dead_letters(queue).visible for queue in queues)

    def urls(self, queues: Sequence[Queue]) -> tuple[str, ...]:
        """Where the letters lie."""
        return tuple(self.directory.dead_letter_url(queue) for queue in queues)

    def browse(
        self,
        queue: Queue,
        *,
        leaving: bool = False,
        at_once: int | None = None,
        patient_until: datetime | None = None,
    ) -> Browsing:
        """A pass over one queue, as :class:`worker.dead_letters.browsing.Browsing` says."""
        return Browsing(
            self.sqs,
            queue,
            self.directory.dead_letter_url(queue),
            count=self._backlog.of_dead_letters(queue),
            clock=self.clock,
            seconds=self.seconds,
            leaving=leaving,
            at_once=at_once,
            patient_until=patient_until,
        )

    def sqs_time(self, queues: Sequence[Queue]) -> datetime | None:
        """The time by SQS's own clock, which stamps letters; None where it does not tell."""
        if not queues:
            return None
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.directory.dead_letter_url(queues[0]), AttributeNames=["QueueArn"]
        )
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return None if date is None else parsedate_to_datetime(date)
