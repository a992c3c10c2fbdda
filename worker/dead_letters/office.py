"""The dead-letter office: every errand with dead letters, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from worker.consumer.backlog import Backlog
from worker.dead_letters.batches import by_tens
from worker.dead_letters.browsing import Browsing
from worker.dead_letters.errors import AmbiguousLetter, UnknownLetter
from worker.dead_letters.inventory import Inventory, Sight
from worker.dead_letters.letter_file import LetterFile, read_letters
from worker.dead_letters.mail import Mail, Post
from worker.dead_letters.replay import Replay, ReplayReport, ReplayRules
from worker.dead_letters.selection import Selection
from worker.dead_letters.subject import read_subject
from worker.dead_letters.walk import Read, forecast_all, forecast_pool, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock
    from worker.dead_letters.forecast import Forecast, Forecaster
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.letter_file import StoredLetter
    from worker.dead_letters.subject import Subject
    from worker.prefixes import Prefixes

    OnSeen = Callable[[int], None]

_SHORTEST_ID = 4
_EVERYTHING = Selection()


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


class DeadLetterOffice:
    """Looks at, replays, removes and keeps dead letters.

    Args:
        sqs: the client.
        queues: where the queues and their dead-letter queues are.
        forecaster: tells what a replay would come to.
        prefixes: tell a file's customer from its key.
        clock: the time.
    """

    def __init__(
        self,
        *,
        sqs: SQSClient,
        queues: QueueDirectory,
        forecaster: Forecaster,
        prefixes: Prefixes,
        clock: Clock,
    ) -> None:
        self._sqs = sqs
        self._queues = queues
        self._forecaster = forecaster
        self._prefixes = prefixes
        self._clock = clock
        self._backlog = Backlog(sqs, queues)
        self._post = Post(sqs, clock)

    def visible(self, queues: Sequence[Queue]) -> int:
        """How many letters the queues show now, by SQS's approximate count."""
        return sum(self._backlog.of_dead_letters(queue).visible for queue in queues)

    def inventory(self, queues: Sequence[Queue], on_seen: OnSeen) -> Inventory:
        """Count what lies in the queues; everything is shown again on return."""
        inventory = Inventory()
        for queue in queues:
            with self._browse(queue) as browsing:
                for reads in self._walk(browsing, _EVERYTHING, on_seen):
                    for each in reads:
                        inventory.add(each.letter, each.subject)
            inventory.sights.append(browsing.sight)
        return inventory

    def find(self, texts: Sequence[str], queues: Sequence[Queue], on_seen: OnSeen) -> list[Letter]:
        """The letters that ``texts`` name: message ids, original ids, or the beginning of one.

        Raises:
            UnknownLetter: a text names none, or is shorter than four characters.
            AmbiguousLetter: a text names several.
        """
        for text in texts:
            if len(text) < _SHORTEST_ID:
                raise UnknownLetter(
                    f"{text!r} is too short: give {_SHORTEST_ID} characters or more"
                )
        candidates: dict[str, list[Letter]] = {text: [] for text in texts}
        for queue in queues:
            with self._browse(queue) as browsing:
                for reads in self._walk(browsing, _EVERYTHING, on_seen):
                    for text, named in candidates.items():
                        named += [each.letter for each in reads if each.letter.is_named(text)]
                    if all(_exact(text, named) for text, named in candidates.items()):
                        # A whole message id fits no other letter.
                        return [_the_one(text, named) for text, named in candidates.items()]
        return [_the_one(text, named) for text, named in candidates.items()]

    def forecast(self, letter: Letter) -> tuple[Subject, Forecast]:
        """What a letter is about, and what a replay of it would come to."""
        subject = read_subject(letter.body, self._prefixes)
        return subject, self._forecaster.of(subject)

    def replay(
        self, queues: Sequence[Queue], selection: Selection, rules: ReplayRules, on_seen: OnSeen
    ) -> ReplayReport:
        """Send the selected letters back to the queues they came from; ends by itself."""
        replay = Replay(
            post=self._post,
            queues=self._queues,
            clock=self._clock,
            rules=rules,
            started_at=self._sqs_time(queues),
        )
        with forecast_pool() as pool:
            for queue in queues:
                with self._browse(queue, at_once=rules.at_once) as browsing:
                    for reads in self._walk(browsing, selection, on_seen):
                        replay.take(browsing, forecast_all(reads, self._forecaster.of, pool))
                        if replay.ended:
                            return replay.report
                        replay.wait()
                replay.report.sights.append(browsing.sight)
        return replay.report

    def export(
        self, queues: Sequence[Queue], selection: Selection, to: Path, on_seen: OnSeen
    ) -> Kept:
        """Write the selected letters to a new file; they stay where they are.

        Raises:
            BadLetterFile: the file cannot be made.
        """
        return self._keep(queues, selection, to, on_seen, remove=False)

    def purge(
        self, queues: Sequence[Queue], selection: Selection, to: Path, on_seen: OnSeen
    ) -> Kept:
        """Write the selected letters to a new file, then delete them.

        Each is on the disk before SQS is asked to delete it.

        Raises:
            BadLetterFile: the file cannot be made; nothing was deleted.
        """
        return self._keep(queues, selection, to, on_seen, remove=True)

    def bring_back(self, path: Path, on_seen: OnSeen) -> Kept:
        """Put a file's letters on their dead-letter queues, all attributes as they were.

        Raises:
            BadLetterFile: a line is no letter; nothing was sent.
        """
        for _ in read_letters(path):
            pass
        kept = Kept()
        for letters in by_tens(read_letters(path)):
            for queue in dict.fromkeys(letter.queue for letter in letters):
                self._import(queue, [each for each in letters if each.queue is queue], kept)
            on_seen(len(letters))
        return kept

    def _keep(
        self,
        queues: Sequence[Queue],
        selection: Selection,
        to: Path,
        on_seen: OnSeen,
        *,
        remove: bool,
    ) -> Kept:
        kept, started_at = Kept(), self._sqs_time(queues)
        with LetterFile(to) as file:
            for queue in queues:
                with self._browse(queue) as browsing:
                    for reads in self._walk(browsing, selection, on_seen):
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

    def _import(self, queue: Queue, letters: Sequence[StoredLetter], kept: Kept) -> None:
        url = self._queues.dead_letter_url(queue)
        mails = [Mail(str(index), each.body, each.values()) for index, each in enumerate(letters)]
        posted = self._post.send(url, mails)
        kept.letters += len(posted.ids)
        kept.refused += [
            f"{letters[int(key)].message_id}: {reason}" for key, reason in posted.refused.items()
        ]

    def _sqs_time(self, queues: Sequence[Queue]) -> datetime | None:
        """The time by SQS's own clock, which stamps letters; None where it does not tell."""
        if not queues:
            return None
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self._queues.dead_letter_url(queues[0]), AttributeNames=["QueueArn"]
        )
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return None if date is None else parsedate_to_datetime(date)

    def _browse(self, queue: Queue, at_once: int | None = None) -> Browsing:
        return Browsing(
            self._sqs,
            queue,
            self._queues.dead_letter_url(queue),
            count=self._backlog.of_dead_letters(queue),
            clock=self._clock,
            at_once=at_once,
        )

    def _walk(
        self, browsing: Browsing, selection: Selection, on_seen: OnSeen
    ) -> Iterator[list[Read]]:
        return walk(browsing, selection, self._prefixes, self._clock.now(), on_seen)


def _exact(text: str, named: Sequence[Letter]) -> list[Letter]:
    return [letter for letter in named if letter.message_id == text]


def _the_one(text: str, named: Sequence[Letter]) -> Letter:
    exact = _exact(text, named) or named
    if not exact:
        raise UnknownLetter(
            f"no letter {text!r} can be seen: `dlq list` says what there is; one that somebody "
            "else looks at shows again within minutes"
        )
    if len(exact) > 1:
        ids = ", ".join(sorted(letter.message_id for letter in exact)[:5])
        raise AmbiguousLetter(f"{text!r} fits {len(exact)} letters: {ids}; write more of the id")
    return exact[0]
