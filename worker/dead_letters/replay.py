"""The replay: letters sent back to their queues, and deleted once SQS has the copy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.dead_letters.mail import Mail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from producers.queues import Queue, QueueDirectory
    from worker.clock import Clock
    from worker.dead_letters.browsing import Browsing
    from worker.dead_letters.forecast import Forecast, Verdict
    from worker.dead_letters.inventory import Sight
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.mail import Post
    from worker.dead_letters.walk import Found

_KEPT_NOTES = 20
_FEW_RETURNS = 20


class Fate(StrEnum):
    """What became of a selected letter."""

    REPLAYED = "replayed"
    WOULD_REPLAY = "would_replay"
    SKIPPED = "skipped"
    CAME_BACK = "came_back"
    ARRIVED_LATER = "arrived_later"
    FAILED = "failed"
    NOT_DELETED = "not_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRules:
    """How letters are replayed.

    Args:
        limit: letters to replay, at most; None for no limit.
        per_second: letters a second, at most; None for no limit.
        force: whether letters that cannot succeed are replayed too.
        dry_run: whether only to say what would happen.
    """

    limit: int | None = None
    per_second: float | None = None
    force: bool = False
    dry_run: bool = False

    @property
    def at_once(self) -> int | None:
        """Letters to receive at a time: few where few a second are sent."""
        return None if self.per_second is None else max(1, int(self.per_second))


@dataclass(slots=True)
class ReplayReport:
    """What a replay did.

    Args:
        fates: letters by what became of them.
        verdicts: letters by what was forecast for them.
        notes: why letters were skipped or failed; the first twenty.
        sights: how much of each queue was seen.
        stopped: why the replay ended before its time; None where it did not.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    stopped: str | None = None

    @property
    def moved(self) -> int:
        """Letters that were, or would be, sent."""
        sent = (Fate.REPLAYED, Fate.WOULD_REPLAY, Fate.NOT_DELETED)
        return sum(self.fates[fate] for fate in sent)

    @property
    def failed(self) -> bool:
        """Whether a person has to look."""
        bad = (Fate.FAILED, Fate.NOT_DELETED, Fate.CAME_BACK)
        return self.stopped is not None or any(self.fates[fate] for fate in bad)

    def note(self, letter: Letter, text: str) -> None:
        """Keep a line about a letter, if there are not too many."""
        if len(self.notes) < _KEPT_NOTES:
            self.notes.append(f"{letter.message_id}: {text}")


class Replay:
    """One replay, over one queue after the other.

    A letter that a worker puts back while the replay runs is not replayed again: its original id is
    that of the copy that was sent, or it came after the start.

    Args:
        post: sends the copies.
        queues: where they go.
        clock: the time.
        rules: how.
        started_at: letters that SQS took later, by its own clock, are left; None leaves none.
    """

    def __init__(
        self,
        *,
        post: Post,
        queues: QueueDirectory,
        clock: Clock,
        rules: ReplayRules,
        started_at: datetime | None,
    ) -> None:
        self._post = post
        self._queues = queues
        self._clock = clock
        self._rules = rules
        self._started_at = started_at
        self._copies: set[str] = set()
        self._next_at = clock.monotonic()
        self.report = ReplayReport()

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be sent."""
        return self.report.stopped is not None or self._room == 0

    @property
    def _room(self) -> int | None:
        limit = self._rules.limit
        return None if limit is None else max(0, limit - self.report.moved)

    def take(self, browsing: Browsing, found: Sequence[Found]) -> None:
        """Replay the letters that should be; the others stay where they are."""
        ready: list[Letter] = []
        for each in found:
            if self._room is not None and len(ready) >= self._room:
                break
            if self._is_ready(each.letter, each.forecast):
                ready.append(each.letter)
        if self._rules.dry_run:
            self.report.fates.update([Fate.WOULD_REPLAY] * len(ready))
            return
        by_target: dict[Queue, list[Letter]] = {}
        for letter in ready:
            by_target.setdefault(self.target(letter), []).append(letter)
        for queue, letters in by_target.items():
            self._send(browsing, queue, letters)
        self._stop_if_they_return()

    def wait(self) -> None:
        """Wait until more may be sent."""
        pause = self._next_at - self._clock.monotonic()
        if pause > 0:
            self._clock.sleep(pause)

    def target(self, letter: Letter) -> Queue:
        """The queue that the letter came from: the one it names, else its dead-letter queue's."""
        if letter.death is not None:
            try:
                return self._queues.named(letter.death.source_queue)
            except ValueError:
                return letter.queue
        return letter.queue

    def _is_ready(self, letter: Letter, forecast: Forecast) -> bool:
        if letter.message_id in self._copies or letter.original_message_id in self._copies:
            self.report.fates[Fate.CAME_BACK] += 1
            self.report.note(letter, f"came back: {letter.reason.type}: {letter.reason.message}")
            return False
        if self._started_at is not None and letter.sent_at > self._started_at:
            self.report.fates[Fate.ARRIVED_LATER] += 1
            return False
        self.report.verdicts[forecast.verdict] += 1
        if forecast.hopeless and not self._rules.force:
            self.report.fates[Fate.SKIPPED] += 1
            self.report.note(letter, f"skipped: {forecast.text}")
            return False
        return True

    def _send(self, browsing: Browsing, queue: Queue, letters: Sequence[Letter]) -> None:
        posted = self._post.send(
            self._queues.url(queue),
            [Mail(letter.message_id, letter.body, letter.own) for letter in letters],
        )
        self._copies.update(posted.ids.values())
        undeleted = browsing.delete([each for each in letters if each.message_id in posted.ids])
        for letter in letters:
            refusal = posted.refused.get(letter.message_id)
            if refusal is not None:
                self.report.fates[Fate.FAILED] += 1
                self.report.note(letter, f"not sent: {refusal}")
            elif letter.message_id in undeleted:
                self.report.fates[Fate.NOT_DELETED] += 1
                self.report.note(letter, "sent, but still here too: SQS did not confirm deletion")
            else:
                self.report.fates[Fate.REPLAYED] += 1
        if self._rules.per_second is not None:
            began = max(self._next_at, self._clock.monotonic())
            self._next_at = began + len(posted.ids) / self._rules.per_second

    def _stop_if_they_return(self) -> None:
        returned = self.report.fates[Fate.CAME_BACK]
        if returned >= _FEW_RETURNS and returned * 2 > self.report.moved:
            self.report.stopped = (
                f"{returned} of {self.report.moved} replayed letters came back already: what they "
                "need is not there yet; `dlq list` names the reasons"
            )
