"""The outbox: many messages onto a queue, by batches, none dropped in silence."""

from __future__ import annotations

import itertools
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
BATCH_SIZE = 10
_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.2


class EnqueueFailed(RuntimeError):  # noqa: N818 - says what happened
    """Some messages were refused by SQS again and again; those before them are on the queue."""


class Outbox:
    """Sends messages by tens, several batches in flight, and retries what a batch lost.

    Sending again what was already sent does no harm: every handler is idempotent.

    Args:
        sqs: a client, safe to use from several threads.
        in_flight: batches under way at once; 1 sends on the caller's thread.
        sleep: waits that many seconds between retries.
    """

    def __init__(
        self, sqs: SQSClient, *, sleep: Callable[[float], None], in_flight: int = 8
    ) -> None:
        self._sqs = sqs
        self._sleep = sleep
        self._in_flight = in_flight

    def send(self, queue_url: str, bodies: Iterable[str]) -> int:
        """Send every body; returns how many.

        ``bodies`` is consumed as it is sent, so memory stays bounded.

        Raises:
            EnqueueFailed: SQS refused some for good; says how many and why.
        """
        batches = _batches(bodies)
        if self._in_flight == 1:
            return sum(self._send_batch(queue_url, batch) for batch in batches)
        sent = 0
        with ThreadPoolExecutor(self._in_flight, thread_name_prefix="outbox") as pool:
            running: set[Future[int]] = set()
            for batch in batches:
                if len(running) >= self._in_flight:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    sent += sum(future.result() for future in done)
                running.add(pool.submit(self._send_batch, queue_url, batch))
            sent += sum(future.result() for future in running)
        return sent

    def _send_batch(self, queue_url: str, bodies: Sequence[str]) -> int:
        waiting = {str(index): body for index, body in enumerate(bodies)}
        failed: Sequence[BatchResultErrorEntryTypeDef] = ()
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
            answer = self._sqs.send_message_batch(
                QueueUrl=queue_url,
                Entries=[{"Id": name, "MessageBody": body} for name, body in waiting.items()],
            )
            failed = answer.get("Failed", [])
            _refuse_sender_faults(failed)
            waiting = {entry["Id"]: waiting[entry["Id"]] for entry in failed}
            if not waiting:
                return len(bodies)
        raise EnqueueFailed(
            f"SQS took {len(bodies) - len(waiting)} of {len(bodies)} messages of a batch and "
            f"refused the rest {_ATTEMPTS} times ({_reason(failed[0])}); run the command again, "
            "what was sent twice is billed once"
        )


def _batches(bodies: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(bodies)
    while batch := list(itertools.islice(iterator, BATCH_SIZE)):
        yield batch


def _refuse_sender_faults(failed: Sequence[BatchResultErrorEntryTypeDef]) -> None:
    """Raise for a message that SQS will refuse however often it is sent."""
    for entry in failed:
        if entry["SenderFault"]:
            raise EnqueueFailed(f"SQS refused a message: {_reason(entry)}")


def _reason(entry: BatchResultErrorEntryTypeDef) -> str:
    return f"{entry['Code']}: {entry.get('Message', 'no message')}"
