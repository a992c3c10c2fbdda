"""Keeping: letters written to a file, removed from their queue, put back from a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.dead_letters.batches import in_lots
from worker.dead_letters.letter_file import LetterFile, read_letters
from worker.dead_letters.mail import Mail, Posted, in_batches
from worker.dead_letters.sending import BATCHES_AT_ONCE
from worker.dead_letters.walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from producers.queues import Queue
    from worker.dead_letters.inventory import Sight
    from worker.dead_letters.letter_file import StoredLetter
    from worker.dead_letters.post import Post
    from worker.dead_letters.queues import DeadLetterQueues
    from worker.dead_letters.selection import Selection
    from worker.dead_letters.walk import OnSeen
    from worker.prefixes import Prefixes


@dataclass(slots=True)
class Kept:
    """What an export, a purge or an import did.

    Args:
        letters: written, removed or sent.
        undeleted: written by a purge, but still on the queue.
        refused: why SQS did not take a letter that was imported.
        sights: how much of each queue was seen.
    """

    letters: int = 0
    undeleted: int = 0
    refused: list[str] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)


class Keeping:
    """Writes letters to files, and brings them back.

    Args:
        queues: the dead-letter queues.
        post: sends what is brought back.
        prefixes: tell a file's customer from its key.
    """

    def __init__(self, queues: DeadLetterQueues, post: Post, prefixes: Prefixes) -> None:
        self._queues = queues
        self._post = post
        self._prefixes = prefixes

    def write(
        self,
        queues: Sequence[Queue],
        selection: Selection,
        to: Path,
        on_seen: OnSeen,
        *,
        remove: bool,
    ) -> Kept:
        """Write the selected letters to a new file; with ``remove``, delete each once it is there.

        Raises:
            BadLetterFile: the file cannot be made, or no more fits on the disk; what is not in it
                was not deleted.
        """
        kept, started_at = Kept(), self._queues.sqs_time(queues)
        now = self._queues.clock.now()
        with LetterFile(to) as file:
            for queue in queues:
                with self._queues.browse(queue, leaving=remove) as browsing:
                    for reads in walk(
                        browsing,
                        lambda letter, subject: selection.fits(letter, subject, now),
                        self._prefixes,
                        on_seen,
                    ):
                        # What comes while this runs was not meant by whoever started it.
                        letters = [
                            each.letter
                            for each in reads
                            if started_at is None or each.letter.sent_at <= started_at
                        ]
                        file.write(letters)
                        kept.letters += len(letters)
                        if remove:
                            kept.undeleted += len(browsing.delete(letters))
                kept.sights.append(browsing.sight)
        return kept

    def bring_back(self, path: Path, on_seen: OnSeen) -> Kept:
        """Put a file's letters on their dead-letter queues, all attributes as they were.

        Raises:
            BadLetterFile: a line is no letter; nothing was sent.
        """
        for _ in read_letters(path):
            pass
        kept = Kept()
        with ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="import") as pool:
            for letters in in_lots(read_letters(path)):
                for queue in dict.fromkeys(letter.queue for letter in letters):
                    self._send(queue, [each for each in letters if each.queue is queue], kept, pool)
                on_seen(len(letters))
        return kept

    def _send(
        self, queue: Queue, letters: Sequence[StoredLetter], kept: Kept, pool: ThreadPoolExecutor
    ) -> None:
        url = self._queues.directory.dead_letter_url(queue)
        mails = [Mail(str(index), each.body, each.values()) for index, each in enumerate(letters)]
        posted = Posted()
        for each in pool.map(lambda batch: self._post.send(url, batch), in_batches(mails)):
            posted.add(each)
        kept.letters += len(posted.ids)
        kept.refused += [
            f"{letters[int(key)].message_id}: {reason}"
            for key, reason in [*posted.refused.items(), *posted.doubtful.items()]
        ]
