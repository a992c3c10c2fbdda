"""Sending: many letters' copies at once, each step of it in the replay's journal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from worker.dead_letters.mail import Posted, in_batches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from worker.clock import Clock
    from worker.dead_letters.mail import Mail
    from worker.dead_letters.manifest import Journal
    from worker.dead_letters.post import Post

BATCHES_AT_ONCE = 16


class Sender(Protocol):
    """Whoever sends copies."""

    def send(self, url: str, mails: Sequence[Mail]) -> Posted:
        """Send each to the queue, and say what became of each."""
        ...


class Sending:
    """Sends in this process; a context manager.

    Args:
        post: sends a batch.
        clock: the time.
        journal: is told before and after; None keeps none.
    """

    def __init__(self, post: Post, clock: Clock, journal: Journal | None = None) -> None:
        self._post = post
        self._clock = clock
        self._journal = journal
        self._pool = ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="send")

    def __enter__(self) -> Self:
        """Nothing is sent yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the threads."""
        self._pool.shutdown()

    def send(self, url: str, mails: Sequence[Mail]) -> Posted:
        """Send each to the queue; one that SQS refuses does not hold up the others.

        Raises:
            botocore.exceptions.ClientError: SQS refuses the caller; the journal knows what was
                sent before.
            botocore.exceptions.BotoCoreError: SQS cannot be reached; likewise.
        """
        if self._journal is not None:
            self._journal.intend([mail.key for mail in mails], self._clock.now())
        under_way = [self._pool.submit(self._send, url, each) for each in in_batches(mails)]
        try:
            wait(under_way)
        finally:
            # Ctrl-C does not stop a call that has begun: its answer is still written down.
            wait(under_way)
            if self._journal is not None:
                self._journal.secure()
        posted = Posted()
        for batch in under_way:
            posted.add(batch.result())
        return posted

    def _send(self, url: str, batch: Sequence[Mail]) -> Posted:
        keys = [mail.key for mail in batch]
        try:
            posted = self._post.send(url, batch)
        except (BotoCoreError, ClientError):
            if self._journal is not None:
                self._journal.unsent(keys)
            raise
        if self._journal is not None:
            self._journal.sent(posted.ids)
            self._journal.unsent(posted.refused)
        return posted
