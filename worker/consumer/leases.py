"""Leases: what this worker holds stays invisible to others while work runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock
    from worker.consumer.received import ReceivedMessage

_log = structlog.get_logger()
_BATCH = 10


@dataclass(slots=True)
class _Lease:
    queue: Queue
    renew_at: float
    lost: threading.Event = field(default_factory=threading.Event)


class Leases:
    """Extends the visibility of everything held, at half its time.

    Args:
        sqs: the client.
        queues: where the queues are.
        clock: the time.
        visibility_seconds: how long a lease lasts.
    """

    def __init__(
        self, sqs: SQSClient, queues: QueueDirectory, clock: Clock, visibility_seconds: int
    ) -> None:
        self._sqs = sqs
        self._queues = queues
        self._clock = clock
        self._visibility = visibility_seconds
        self._held: dict[str, _Lease] = {}
        self._lock = threading.Lock()

    @property
    def pause(self) -> float:
        """Seconds between two calls of :meth:`renew_due` that miss no lease."""
        return self._visibility / 8

    def hold(self, message: ReceivedMessage, received_at: float) -> None:
        """Begin to renew a message that was received at that monotonic time."""
        with self._lock:
            self._held[message.receipt_handle] = _Lease(
                message.queue, received_at + self._visibility / 2
            )

    def release(self, message: ReceivedMessage) -> None:
        """Stop renewing: what becomes of the message is decided, and nothing may overwrite it.

        Returns only when no renewal of this message is under way.
        """
        with self._lock:
            self._held.pop(message.receipt_handle, None)

    def renew_due(self) -> None:
        """Extend every lease that is past half its time, by batches of ten.

        A batch that fails is tried again at the next call, well before the lease ends.
        """
        # Held for the calls: a renewal may not land after its message was given back.
        with self._lock:
            now = self._clock.monotonic()
            due: dict[Queue, list[str]] = {}
            for handle, lease in self._held.items():
                if lease.renew_at <= now and not lease.lost.is_set():
                    due.setdefault(lease.queue, []).append(handle)
            for queue, handles in due.items():
                for start in range(0, len(handles), _BATCH):
                    self._renew(queue, handles[start : start + _BATCH], now)

    def _renew(self, queue: Queue, handles: Sequence[str], now: float) -> None:
        try:
            answer = self._sqs.change_message_visibility_batch(
                QueueUrl=self._queues.url(queue),
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": handle,
                        "VisibilityTimeout": self._visibility,
                    }
                    for index, handle in enumerate(handles)
                ],
            )
        except (BotoCoreError, ClientError) as error:
            _log.warning(
                "leases not renewed, trying again",
                action="lease_renewal_failed",
                queue=queue,
                messages=len(handles),
                error=type(error).__name__,
            )
            return
        for entry in answer.get("Successful", ()):
            self._held[handles[int(entry["Id"])]].renew_at = now + self._visibility / 2
        for entry in answer.get("Failed", ()):
            lease = self._held[handles[int(entry["Id"])]]
            if entry["SenderFault"]:
                lease.lost.set()
                _log.warning(
                    "a lease was lost", action="lease_lost", queue=queue, code=entry["Code"]
                )
