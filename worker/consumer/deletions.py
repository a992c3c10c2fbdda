"""Deleting what is done, by tens."""

from __future__ import annotations

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
    """Gathers receipt handles and deletes them in batches.

    A deletion that is lost costs one more delivery, which does nothing: handlers are idempotent.
    :meth:`run` deletes on a thread of its own; without one, :meth:`flush` deletes what there is.

    Args:
        sqs: the client.
        queues: where the queues are.
        clock: waits between attempts.
    """

    def __init__(self, sqs: SQSClient, queues: QueueDirectory, clock: Clock) -> None:
        self._sqs = sqs
        self._queues = queues
        self._clock = clock
        self._gathered: list[tuple[Queue, str]] = []
        self._undone = 0
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._enough = threading.Event()
        self._closing = threading.Event()

    def add(self, source: Queue, receipt_handle: str) -> None:
        """Delete this receipt's message soon."""
        with self._lock:
            self._gathered.append((source, receipt_handle))
            self._undone += 1
            enough = len(self._gathered) >= _BATCH
        self._some.set()
        if enough:
            self._enough.set()

    @property
    def undone(self) -> int:
        """How many are still to be deleted."""
        with self._lock:
            return self._undone

    def run(self) -> None:
        """Delete until closed, and then what is left."""
        while not self._closing.is_set():
            self._some.wait()
            self._enough.wait(_GATHER_SECONDS)
            self.flush()
        self.flush()

    def close(self) -> None:
        """Let :meth:`run` delete what was added, and end."""
        self._closing.set()
        self._some.set()
        self._enough.set()

    def flush(self) -> None:
        """Delete everything that was added."""
        with self._lock:
            gathered, self._gathered = self._gathered, []
            if not self._closing.is_set():
                self._some.clear()
                self._enough.clear()
        for source in sorted({source for source, _ in gathered}):
            handles = [handle for where, handle in gathered if where == source]
            for start in range(0, len(handles), _BATCH):
                batch = handles[start : start + _BATCH]
                self._delete(source, batch)
                with self._lock:
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
