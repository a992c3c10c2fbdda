"""The queues by name, and where they are.

Every queue has a dead-letter queue ``<name>-dlq``.
"""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

DEAD_LETTER_SUFFIX = "-dlq"


class Queue(StrEnum):
    """A queue of ours, by the part of its name behind the prefix."""

    SCHEDULE = "schedule"
    DAILY_SIZING = "daily-sizing"
    MONTHLY_BILLING = "monthly-billing"
    FILE_PROCESSED = "file-processed"
    STRIPE_EVENTS = "stripe-events"


class QueueDirectory:
    """Names and URLs of the queues; a URL is asked for once.

    Args:
        sqs: the client that is asked.
        prefix: what stands before each name, such as ``siftbeam-``.
    """

    def __init__(self, sqs: SQSClient, prefix: str) -> None:
        self._sqs = sqs
        self._prefix = prefix
        self._urls: dict[str, str] = {}
        self._lock = threading.Lock()

    def name(self, queue: Queue) -> str:
        """The full name."""
        return f"{self._prefix}{queue}"

    def dead_letter_name(self, queue: Queue) -> str:
        """The full name of the dead-letter queue."""
        return self.name(queue) + DEAD_LETTER_SUFFIX

    def url(self, queue: Queue) -> str:
        """The queue's URL; raises botocore's ``QueueDoesNotExist`` where there is none."""
        return self._url(self.name(queue))

    def dead_letter_url(self, queue: Queue) -> str:
        """The dead-letter queue's URL; raises as :meth:`url` does."""
        return self._url(self.dead_letter_name(queue))

    def named(self, text: str) -> Queue:
        """The queue of a full or a short name, a dead-letter queue's included.

        Raises:
            ValueError: no queue of ours; the message lists those there are.
        """
        short = text.removeprefix(self._prefix).removesuffix(DEAD_LETTER_SUFFIX)
        try:
            return Queue(short)
        except ValueError:
            names = ", ".join(self.name(queue) for queue in Queue)
            raise ValueError(f"there is no queue {text!r}; there are {names}") from None

    def _url(self, name: str) -> str:
        with self._lock:
            known = self._urls.get(name)
        if known is not None:
            return known
        url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        with self._lock:
            self._urls[name] = url
        return url
