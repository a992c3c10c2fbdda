"""The replay: letters sent back to their queues, and deleted once SQS has the copy."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from worker.dead_letters.mail import Mail
from worker.dead_letters.manifest import Progress
from worker.dead_letters.replay_report import Fate, ReplayReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock
    from worker.dead_letters.browsing import Browsing
    from worker.dead_letters.forecast import Forecast
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.manifest import Manifest
    from worker.dead_letters.replay_order import ReplayOrder
    from worker.dead_letters.sending import Sender
    from worker.dead_letters.subject import Subject
    from worker.dead_letters.walk import Read

    ForecastAll = Callable[[Sequence[Subject]], list[Forecast]]

_FEW_RETURNS = 20
_LATELY = 400


class Replay:
    """One replay, over one queue after the other.

    A letter that a worker puts back while the replay runs is not replayed again: its original id is
    that of the copy that was sent, or it came after the start.

    Args:
        sender: sends the copies.
        queues: where they go.
        clock: the time.
        order: which letters, and how.
        dry_run: whether only to say what would happen.
        started_at: letters that SQS took later, by its own clock, are left; None leaves none.
        manifest: what an earlier process of this replay did; None where there was none.
        again: whether letters are sent whose copy an earlier process may have sent.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        queues: QueueDirectory,
        clock: Clock,
        order: ReplayOrder,
        dry_run: bool,
        started_at: datetime | None,
        manifest: Manifest | None = None,
        again: bool = False,
    ) -> None:
        self._sender = sender
        self._queues = queues
        self._clock = clock
        self._order = order
        self.dry_run = dry_run
        self._started_at = started_at
        self._journal = None if manifest is None else manifest.journal
        self._before = Progress() if manifest is None else manifest.progress
        self._unsettled = self._before.undeleted | self._before.doubtful
        self._again = again
        self._copies = set(self._before.copies)
        self._lately: deque[bool] = deque(maxlen=_LATELY)
        self._next_at = 0.0
        self.report = ReplayReport(manifest=None if manifest is None else manifest.path)

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done."""
        return self.report.stopped is not None or (self._room == 0 and not self._unsettled)

    def knows(self, letter: Letter) -> bool:
        """Whether an earlier process of this replay began with it: no filter matters any more."""
        return letter.message_id in self._unsettled

    def take(self, browsing: Browsing, reads: Sequence[Read], forecast_all: ForecastAll) -> None:
        """Replay the letters that should be; the others stay where they are."""
        self._settle(browsing, [each.letter for each in reads if self.knows(each.letter)])
        new = [each for each in reads if self._is_new(each.letter)]
        ready = [each.letter for each in new]
        if self.dry_run or not self._order.force:
            forecasts = forecast_all([each.subject for each in new])
            pairs = zip(ready, forecasts, strict=True)
            ready = [letter for letter, forecast in pairs if self._is_ready(letter, forecast)]
            if self._journal is not None and not self.dry_run:
                self._journal.skipped(len(new) - len(ready))
        ready = ready[: self._room]
        if self.dry_run:
            self.report.count(Fate.WOULD_REPLAY, len(ready))
            return
        by_target: dict[Queue, list[Letter]] = {}
        for letter in ready:
            by_target.setdefault(self.target(letter), []).append(letter)
        for queue, letters in by_target.items():
            self._send(browsing, queue, browsing.ours(letters))
        self._stop_if_they_return()

    def wait(self) -> None:
        """Wait until more may be sent."""
        pause = self._next_at - self._clock.monotonic()
        if pause > 0:
            self._clock.sleep(pause)

    def finish(self, *, whole: bool) -> None:
        """Say in the manifest that nothing is open, if so.

        Args:
            whole: whether the passes came to their end. What they did not meet then is not there
                any more, unless more is missing than an earlier process left hidden.
        """
        missed = sum(sight.missed for sight in self.report.sights)
        full = any(sight.full for sight in self.report.sights)
        whole = whole and not full and missed <= self._before.skipped
        stuck = bool(self.report.fates[Fate.NOT_DELETED] or self.report.fates[Fate.IN_DOUBT])
        self.report.finished = self.dry_run or not (stuck or (self._unsettled and not whole))
        if self._journal is not None and self.report.finished and not self.dry_run:
            self._journal.finish()

    def target(self, letter: Letter) -> Queue:
        """The queue that the letter came from: the one it names, else its dead-letter queue's."""
        if letter.death is not None:
            try:
                return self._queues.named(letter.death.source_queue)
            except ValueError:
                return letter.queue
        return letter.queue

    @property
    def _room(self) -> int | None:
        if self._order.limit is None:
            return None
        return max(0, self._order.limit - self.report.moved - len(self._before.copies))

    def _settle(self, browsing: Browsing, letters: Sequence[Letter]) -> None:
        """Delete what was sent by an earlier process; leave what it may have sent."""
        sent = [each for each in letters if each.message_id in self._before.undeleted]
        if not self.dry_run:
            self._delete(browsing, sent, Fate.SENT_BEFORE)
        for letter in letters:
            if letter.message_id in self._before.doubtful and not self._again:
                self.report.fates[Fate.IN_DOUBT] += 1
                self.report.note(
                    letter,
                    "in doubt: a process that ended may have sent its copy; left. "
                    "--resume with --send-in-doubt sends it, perhaps for the second time",
                )
            self._unsettled.discard(letter.message_id)

    def _is_new(self, letter: Letter) -> bool:
        name = letter.message_id
        if name in self._before.undeleted or (name in self._before.doubtful and not self._again):
            return False
        returned = name in self._copies or letter.original_message_id in self._copies
        self._lately.append(returned)
        if returned:
            self.report.fates[Fate.CAME_BACK] += 1
            self.report.note(letter, f"came back: {letter.reason.type}: {letter.reason.message}")
            return False
        if self._started_at is not None and letter.sent_at > self._started_at:
            self.report.fates[Fate.ARRIVED_LATER] += 1
            return False
        return True

    def _is_ready(self, letter: Letter, forecast: Forecast) -> bool:
        self.report.verdicts[forecast.verdict] += 1
        if forecast.hopeless and not self._order.force:
            self.report.fates[Fate.SKIPPED] += 1
            self.report.note(letter, f"skipped: {forecast.text}")
            return False
        return True

    def _send(self, browsing: Browsing, queue: Queue, letters: Sequence[Letter]) -> None:
        posted = self._sender.send(
            self._queues.url(queue),
            [Mail(letter.message_id, letter.body, letter.own) for letter in letters],
        )
        self._copies.update(posted.ids.values())
        self._delete(browsing, [each for each in letters if each.message_id in posted.ids])
        for letter in letters:
            name = letter.message_id
            if name in posted.refused:
                self.report.fates[Fate.FAILED] += 1
                self.report.note(letter, f"not sent: {posted.refused[name]}")
            elif name in posted.doubtful:
                self.report.fates[Fate.IN_DOUBT] += 1
                self.report.note(letter, f"in doubt, left: {posted.doubtful[name]}")
        if self._order.per_second is not None:
            began = max(self._next_at, self._clock.monotonic())
            self._next_at = began + len(posted.ids) / self._order.per_second

    def _delete(
        self, browsing: Browsing, letters: Sequence[Letter], fate: Fate = Fate.REPLAYED
    ) -> None:
        if not letters:
            return
        undeleted = browsing.delete(letters)
        gone = [each.message_id for each in letters if each.message_id not in undeleted]
        if self._journal is not None:
            self._journal.deleted(gone)
        self.report.count(fate, len(gone))
        for letter in letters:
            if letter.message_id in undeleted:
                self.report.fates[Fate.NOT_DELETED] += 1
                self.report.note(letter, "sent, but still here too: SQS did not confirm deletion")

    def _stop_if_they_return(self) -> None:
        returned = self.report.fates[Fate.CAME_BACK]
        faster = sum(self._lately) * 2 > len(self._lately) or returned * 2 > self.report.moved
        if sum(self._lately) >= _FEW_RETURNS and faster:
            self.report.stopped = (
                f"{returned} of {self.report.moved} replayed letters came back already: what they "
                "need is not there yet; `dlq list` names the reasons"
            )
