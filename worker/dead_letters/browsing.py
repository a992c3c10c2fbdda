"""Browsing a dead-letter queue: every letter once, and all given back at the end.

SQS has no way to look without receiving, and each receipt returns an arbitrary few. So a pass hides
each letter for a short while as it sees it, and shows all of them again when it ends. The receive
count that rises by this moves nothing: no redrive policy stands on a dead-letter queue.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from worker.dead_letters.batches import BATCH, by_tens
from worker.dead_letters.inventory import Sight
from worker.dead_letters.letter import Letter
from worker.denied import is_denied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from producers.queues import Queue
    from worker.clock import Clock
    from worker.consumer.backlog import Count

_log = structlog.get_logger()
# SQS lets about 120,000 messages of a standard queue be in flight
# (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html).
MOST_HELD = 110_000
_CALLS_AT_ONCE = 16
_LONGEST_HIDING_SECONDS = 3_600
_SLOWEST_EXPECTED_PACE = 100
_PACE_KNOWN_AFTER_SECONDS = 2
# A receipt may come back empty although letters are left: only several in a row mean the end.
_EMPTY_RECEIPTS = 4
_DELETE_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.2


class Browsing:
    """One pass over one dead-letter queue; a context manager, iterated once.

    However the pass ends, by an error or Ctrl-C too, what it holds is shown again. If the process
    is killed, that happens by itself: letters are hidden for twice as long as the pass has still
    to go by its pace so far, and an hour at most.

    Args:
        sqs: the client.
        queue: whose dead-letter queue.
        url: the dead-letter queue's.
        count: what the queue holds as the pass begins.
        clock: the time.
        seconds: the shortest time a letter is hidden.
        leaving: whether most letters are about to leave: then each is hidden for ``seconds``
            first, and longer only when it stays.
        at_once: letters to receive at a time, at most; None takes as many as go.
        patient_until: until when to wait for letters that were in flight as the pass began; None
            does not wait.
    """

    def __init__(
        self,
        sqs: SQSClient,
        queue: Queue,
        url: str,
        *,
        count: Count,
        clock: Clock,
        seconds: int = 60,
        leaving: bool = False,
        at_once: int | None = None,
        patient_until: datetime | None = None,
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._url = url
        self._count = count
        self._clock = clock
        self._seconds = seconds
        self._leaving = leaving
        self._at_once = at_once
        self._patient_until = patient_until
        self._began = self._received_at = clock.monotonic()
        self._seen: set[str] = set()
        self._held: dict[str, str] = {}
        self._undeleted: set[str] = set()
        self._complained: set[str] = set()
        self._full = False
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="browse")
        self._under_way: list[Future[Sequence[MessageTypeDef]]] = []

    def __enter__(self) -> Self:
        """Nothing is received yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Show everything again that is still held."""
        try:
            # A receipt under way when Ctrl-C came hides letters too: it is waited for, a second.
            for receipt in self._under_way:
                if receipt.exception() is None:
                    self._hold(receipt.result())
            list(self._pool.map(self._show, list(by_tens(self._held.values()))))
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def __iter__(self) -> Iterator[list[Letter]]:
        """Letters not seen before, some at a time, until no more come."""
        empty = stale = 0
        while not self._full:
            messages = self._receive()
            new = self._hold(messages)
            self._under_way = []
            if new:
                empty = stale = 0
                now = self._clock.now()
                yield [Letter.read(self._queue, message, now) for message in new]
                if self._leaving:
                    self._stay([message["MessageId"] for message in new])
            elif messages:
                # Letters whose hiding ran out come again; one lap of them means there are no new.
                stale += 1
                if stale > _EMPTY_RECEIPTS + len(self._held) // BATCH:
                    return
            else:
                empty += 1
                if self._is_over(empty):
                    return
            if len(self._held) >= MOST_HELD:
                self._full = True

    def ours(self, letters: Sequence[Letter]) -> list[Letter]:
        """Those letters that nobody else can have received since: hidden for a while to come.

        The others will come again, as if not seen before.
        """
        if self._clock.monotonic() - self._received_at < self._seconds / 2:
            return list(letters)
        renewed = self._hide([letter.message_id for letter in letters], self._seconds)
        self._received_at = self._clock.monotonic()
        for letter in letters:
            if letter.message_id not in renewed:
                self._held.pop(letter.message_id, None)
                self._seen.discard(letter.message_id)
        return [letter for letter in letters if letter.message_id in renewed]

    def delete(self, letters: Sequence[Letter]) -> frozenset[str]:
        """Delete letters for good; returns the ids of those that SQS did not confirm."""
        waiting = {
            letter.message_id: self._held.get(letter.message_id, letter.receipt_handle)
            for letter in letters
        }
        for attempt in range(_DELETE_ATTEMPTS):
            if attempt:
                self._clock.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
            batches = list(by_tens(list(waiting)))
            for confirmed in self._pool.map(lambda ids: self._delete_once(ids, waiting), batches):
                for done in confirmed:
                    del waiting[done]
                    self._held.pop(done, None)
            if not waiting:
                break
        self._undeleted.update(waiting)
        return frozenset(waiting)

    @property
    def sight(self) -> Sight:
        """How much was seen."""
        return Sight(
            queue=self._queue,
            seen=len(self._seen),
            expected=self._count.total,
            hidden=self._count.in_flight,
            full=self._full,
        )

    def _receive(self) -> list[MessageTypeDef]:
        most = BATCH if self._at_once is None else min(BATCH, self._at_once)
        left = self._count.total - len(self._seen)
        width = 1 if self._at_once is not None else max(1, min(_CALLS_AT_ONCE, left // BATCH))
        seconds = self._seconds if self._leaving else self._hiding()
        self._received_at = self._clock.monotonic()
        self._under_way = [
            self._pool.submit(self._receive_once, most, seconds) for _ in range(width)
        ]
        return [message for receipt in self._under_way for message in receipt.result()]

    def _is_over(self, empty: int) -> bool:
        if len(self._seen) >= self._count.total:
            return True
        if self._patient_until is not None and self._clock.now() < self._patient_until:
            return False
        return empty >= _EMPTY_RECEIPTS

    def _hiding(self) -> int:
        """Seconds to hide a letter until the pass has ended, with room to spare."""
        left = max(0, self._count.total - len(self._seen))
        elapsed = self._clock.monotonic() - self._began
        known = elapsed >= _PACE_KNOWN_AFTER_SECONDS and bool(self._seen)
        pace = len(self._seen) / elapsed if known else _SLOWEST_EXPECTED_PACE
        return min(_LONGEST_HIDING_SECONDS, self._seconds + int(2 * left / pace))

    def _receive_once(self, most: int, seconds: int) -> Sequence[MessageTypeDef]:
        nothing_expected = self._count.total == 0
        try:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=most,
                # Only a long poll asks every server that may hold a message.
                WaitTimeSeconds=0 if nothing_expected else 1,
                VisibilityTimeout=seconds,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp", "DeadLetterQueueSourceArn"],
            )
        except ClientError as error:
            if "OverLimit" not in error.response["Error"]["Code"]:
                raise
            self._full = True
            return ()
        return answer.get("Messages", ())

    def _hold(self, messages: Sequence[MessageTypeDef]) -> list[MessageTypeDef]:
        """Keep the handles; returns the messages that were not seen before."""
        new = []
        for message in messages:
            self._held[message["MessageId"]] = message["ReceiptHandle"]
            if message["MessageId"] not in self._seen:
                self._seen.add(message["MessageId"])
                new.append(message)
        return new

    def _delete_once(self, ids: Sequence[str], handles: dict[str, str]) -> list[str]:
        try:
            answer = self._sqs.delete_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": handles[message_id]}
                    for index, message_id in enumerate(ids)
                ],
            )
        except (BotoCoreError, ClientError) as error:
            self._complain("SQS deletes no letter", error)
            return []
        return [ids[int(entry["Id"])] for entry in answer.get("Successful", ())]

    def _stay(self, ids: Sequence[str]) -> None:
        """Hide those that are to stay until the pass ends."""
        staying = [each for each in ids if each in self._held and each not in self._undeleted]
        self._hide(staying, self._hiding())

    def _show(self, handles: Sequence[str]) -> None:
        self._change([(handle, handle) for handle in handles], 0)

    def _hide(self, ids: Sequence[str], seconds: int) -> set[str]:
        """Hide letters anew; returns those that were still hidden, and so are ours."""
        batches = by_tens([(each, self._held[each]) for each in ids])
        changed = self._pool.map(lambda batch: self._change(batch, seconds), list(batches))
        return {each for ids in changed for each in ids}

    def _change(self, named: Sequence[tuple[str, str]], seconds: int) -> list[str]:
        """Change the visibility of letters, each a name and a handle; returns the names done."""
        try:
            answer = self._sqs.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                    for index, (_, handle) in enumerate(named)
                ],
            )
        except (BotoCoreError, ClientError) as error:
            # They show again by themselves when their time runs out.
            self._complain("SQS shows no letter again before its time runs out", error)
            return []
        return [named[int(entry["Id"])][0] for entry in answer.get("Successful", ())]

    def _complain(self, what: str, error: BotoCoreError | ClientError) -> None:
        """Say once a pass what SQS does not do: the pass goes on without."""
        if what not in self._complained:
            self._complained.add(what)
            denied = isinstance(error, ClientError) and is_denied(error)
            remedy = {"remedy": "docs/security.md says what each command needs"} if denied else {}
            _log.warning(
                what, action="letters_unchanged", queue=self._queue, error=str(error), **remedy
            )
