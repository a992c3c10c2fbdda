"""Deleting what is done, by tens."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock

_log = structlog.get_logger()
_BATCH = 10
_GATHER_SECONDS = 0.1
_ATTEMPTS = 4


class Deletions:
    """Gathers receipt handles and deletes them in batches on a thread of its own.

    A deletion that is lost costs one more delivery, which does nothing: handlers are idempotent.

    Args:
        sqs: the client.
        queues: where the queues are.
        clock: waits between attempts.
    """

    def __init__(self, sqs: SQSClient, queues: QueueDirectory, clock: Clock) -> None:
        self._sqs = sqs
        self._queues = queues
        self._clock = clock
        self._waiting: queue.SimpleQueue[tuple[Queue, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="deletions", daemon=True)
        self._undone = 0
        self._count = threading.Lock()

    def start(self) -> threading.Thread:
        """Begin to delete; returns the thread that does."""
        self._thread.start()
        return self._thread

    def add(self, source: Queue, receipt_handle: str) -> None:
        """Delete this receipt's message soon."""
        with self._count:
            self._undone += 1
        self._waiting.put((source, receipt_handle))

    @property
    def undone(self) -> int:
        """How many are still to be deleted."""
        with self._count:
            return self._undone

    def close(self) -> None:
        """Delete everything that was added, then stop."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing:
            first = self._waiting.get()
            if first is None:
                return
            batch = [first]
            while len(batch) < _BATCH:
                try:
                    more = self._waiting.get(timeout=_GATHER_SECONDS)
                except queue.Empty:
                    break
                if more is None:
                    closing = True
                    break
                batch.append(more)
            for source in {source for source, _ in batch}:
                self._delete(source, [handle for where, handle in batch if where == source])
            with self._count:
                self._undone -= len(batch)

    def _delete(self, source: Queue, handles: Sequence[str]) -> None:
        remaining = list(handles)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._clock.sleep(0.2 * 2**attempt)
            remaining = self._delete_once(source, remaining)
            if not remaining:
                return
        _log.warning(
            "messages not deleted, they will come again and do nothing",
            action="delete_failed",
            queue=source,
            messages=len(remaining),
        )

    def _delete_once(self, source: Queue, handles: Sequence[str]) -> list[str]:
        try:
            answer = self._sqs.delete_message_batch(
                QueueUrl=self._queues.url(source),
                Entries=[
                    {"Id": str(index), "ReceiptHandle": handle}
                    for index, handle in enumerate(handles)
                ],
            )
        except (BotoCoreError, ClientError):
            return list(handles)
        return [
            handles[int(entry["Id"])]
            for entry in answer.get("Failed", ())
            if not entry["SenderFault"]
        ]
