"""The dead-letter office: every errand with dead letters, put together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.dead_letters.inventory import Inventory
from worker.dead_letters.keeping import Keeping, Kept
from worker.dead_letters.manifest import Header
from worker.dead_letters.move_task import MoveTask, NoMoveTask
from worker.dead_letters.naming import Naming
from worker.dead_letters.post import Post
from worker.dead_letters.queues import DeadLetterQueues
from worker.dead_letters.replay import Replay
from worker.dead_letters.selection import Selection
from worker.dead_letters.sending import Sending
from worker.dead_letters.subject import read_subject
from worker.dead_letters.walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from mypy_boto3_sqs import SQSClient

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock
    from worker.dead_letters.forecast import Forecast, Forecaster
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.manifest import Manifest
    from worker.dead_letters.replay_order import ReplayOrder
    from worker.dead_letters.replay_report import ReplayReport
    from worker.dead_letters.sending import Sender
    from worker.dead_letters.subject import Subject
    from worker.dead_letters.walk import OnSeen
    from worker.prefixes import Prefixes

_EVERYTHING = Selection()
_FORECASTS_AT_ONCE = 16


class DeadLetterOffice:
    """Looks at, replays, removes and keeps dead letters.

    Args:
        sqs: the client.
        queues: where the queues and their dead-letter queues are.
        forecaster: tells what a replay would come to.
        prefixes: tell a file's customer from its key.
        clock: the time.
        visibility_seconds: the shortest time a letter is hidden while a command has it in hand.
    """

    def __init__(
        self,
        *,
        sqs: SQSClient,
        queues: QueueDirectory,
        forecaster: Forecaster,
        prefixes: Prefixes,
        clock: Clock,
        visibility_seconds: int,
    ) -> None:
        self._directory = queues
        self._forecaster = forecaster
        self._prefixes = prefixes
        self._clock = clock
        self._post = Post(sqs, clock)
        self._queues = DeadLetterQueues(
            sqs=sqs, directory=queues, clock=clock, seconds=visibility_seconds
        )
        self._keeping = Keeping(self._queues, self._post, prefixes)

    def visible(self, queues: Sequence[Queue]) -> int:
        """How many letters the queues show now, by SQS's approximate count."""
        return self._queues.visible(queues)

    def inventory(
        self, queues: Sequence[Queue], on_seen: OnSeen, selection: Selection = _EVERYTHING
    ) -> Inventory:
        """Count what lies in the queues; everything is shown again on return."""
        inventory, now = Inventory(), self._clock.now()
        for queue in queues:
            with self._queues.browse(queue) as browsing:
                for reads in walk(
                    browsing,
                    lambda letter, subject: selection.fits(letter, subject, now),
                    self._prefixes,
                    on_seen,
                ):
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
        naming = Naming(texts)
        for queue in queues:
            with self._queues.browse(queue) as browsing:
                for letters in browsing:
                    naming.look_at(letters)
                    on_seen(len(letters))
                    if naming.complete:
                        return naming.letters()
        return naming.letters()

    def forecast(self, letter: Letter) -> tuple[Subject, Forecast]:
        """What a letter is about, and what a replay of it would come to."""
        subject = read_subject(letter.body, self._prefixes)
        return subject, self._forecaster.of(subject)

    def header(self, order: ReplayOrder) -> Header:
        """The first line of the manifest of a replay that begins now."""
        return Header(
            order=order,
            dead_letter_urls=self._queues.urls(order.queues),
            begun_at=self._clock.now(),
            sqs_time=self._queues.sqs_time(order.queues),
        )

    def replay(
        self,
        order: ReplayOrder,
        on_seen: OnSeen,
        *,
        dry_run: bool = False,
        manifest: Manifest | None = None,
        sender: Sender | None = None,
        again: bool = False,
    ) -> ReplayReport:
        """Send the selected letters back to the queues they came from; ends by itself.

        Args:
            order: which letters, and how.
            on_seen: is told how many letters were seen.
            dry_run: whether only to say what would happen.
            manifest: keeps what was sent, and says what an earlier process sent.
            sender: sends the copies; None sends in this process.
            again: whether letters are sent whose copy an earlier process may have sent.

        Raises:
            SendingFailed: the sender could not, or ended; the manifest says how far it came.
        """
        journal = None if manifest is None else manifest.journal
        with ThreadPoolExecutor(_FORECASTS_AT_ONCE, thread_name_prefix="forecast") as pool:
            header = self.header(order) if manifest is None else manifest.header
            with (
                nullcontext(sender)
                if sender
                else Sending(self._post, self._clock, journal) as chosen
            ):
                replay = Replay(
                    sender=chosen,
                    queues=self._directory,
                    clock=self._clock,
                    order=order,
                    dry_run=dry_run,
                    started_at=header.sqs_time,
                    manifest=manifest,
                    again=again,
                )
                self._replay(
                    replay,
                    order=order,
                    now=header.begun_at,
                    on_seen=on_seen,
                    pool=pool,
                    patient_until=self._patience(manifest),
                )
        return replay.report

    def move(self, order: ReplayOrder, on_seen: OnSeen) -> tuple[ReplayReport, tuple[Queue, ...]]:
        """Let SQS itself send back what it can: whole queues, where the order means just that.

        Returns:
            what was moved, and the queues that are to be replayed letter by letter.
        """
        task = MoveTask(self._queues, on_seen)
        if not task.suits(order):
            return task.report, order.queues
        left = []
        for queue in order.queues:
            try:
                if self._queues.visible([queue]):
                    task.move(queue, order)
            except NoMoveTask:
                left.append(queue)
            if task.report.stopped is not None:
                return task.report, ()
        return task.report, tuple(left)

    def export(
        self, queues: Sequence[Queue], selection: Selection, to: Path, on_seen: OnSeen
    ) -> Kept:
        """Write the selected letters to a new file; they stay where they are.

        Raises:
            BadLetterFile: the file cannot be made.
        """
        return self._keeping.write(queues, selection, to, on_seen, remove=False)

    def purge(
        self, queues: Sequence[Queue], selection: Selection, to: Path, on_seen: OnSeen
    ) -> Kept:
        """Write the selected letters to a new file, then delete them.

        Each is on the disk before SQS is asked to delete it.

        Raises:
            BadLetterFile: the file cannot be made, or no more fits on the disk; what is not in it
                was not deleted.
        """
        return self._keeping.write(queues, selection, to, on_seen, remove=True)

    def bring_back(self, path: Path, on_seen: OnSeen) -> Kept:
        """Put a file's letters on their dead-letter queues, all attributes as they were.

        Raises:
            BadLetterFile: a line is no letter; nothing was sent.
        """
        return self._keeping.bring_back(path, on_seen)

    def _replay(
        self,
        replay: Replay,
        *,
        order: ReplayOrder,
        now: datetime,
        on_seen: OnSeen,
        pool: ThreadPoolExecutor,
        patient_until: datetime | None,
    ) -> None:
        selection, sights = order.selection, replay.report.sights

        def meant(letter: Letter, subject: Subject) -> bool:
            return replay.knows(letter) or selection.fits(letter, subject, now)

        def forecast_all(subjects: Sequence[Subject]) -> list[Forecast]:
            return self._forecaster.of_all(subjects, pool)

        for queue in order.queues:
            with self._queues.browse(
                queue,
                leaving=not replay.dry_run,
                at_once=order.at_once,
                patient_until=patient_until,
            ) as browsing:
                for reads in walk(browsing, meant, self._prefixes, on_seen):
                    replay.take(browsing, reads, forecast_all)
                    if replay.ended:
                        replay.finish(whole=False)
                        return
                    replay.wait()
            sights.append(browsing.sight)
        replay.finish(whole=True)

    def _patience(self, manifest: Manifest | None) -> datetime | None:
        """Until when letters may be hidden that a process of this replay had in hand."""
        if manifest is None or manifest.progress.last_at is None:
            return None
        return manifest.progress.last_at + timedelta(seconds=2 * self._queues.seconds)
