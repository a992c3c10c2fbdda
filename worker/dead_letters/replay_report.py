"""What a replay did, or would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from worker.dead_letters.forecast import Verdict
    from worker.dead_letters.inventory import Sight
    from worker.dead_letters.letter import Letter

_KEPT_NOTES = 20


class Fate(StrEnum):
    """What became of a selected letter."""

    REPLAYED = "replayed"
    WOULD_REPLAY = "would_replay"
    SENT_BEFORE = "sent_before"
    SKIPPED = "skipped"
    CAME_BACK = "came_back"
    ARRIVED_LATER = "arrived_later"
    FAILED = "failed"
    NOT_DELETED = "not_deleted"
    IN_DOUBT = "in_doubt"


_BAD = (Fate.FAILED, Fate.NOT_DELETED, Fate.CAME_BACK, Fate.IN_DOUBT)


@dataclass(slots=True)
class ReplayReport:
    """What a replay did.

    Args:
        fates: letters by what became of them.
        verdicts: letters by what was forecast for them; none where nothing depended on it.
        notes: why letters were skipped or failed; the first twenty.
        sights: how much of each queue was seen.
        stopped: why the replay ended before its time; None where it did not.
        manifest: the file that says what was sent; None where none was kept.
        finished: whether nothing is left that a resumed replay would have to settle.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    stopped: str | None = None
    manifest: Path | None = None
    finished: bool = True

    @property
    def moved(self) -> int:
        """Letters that were, or would be, sent."""
        sent = (Fate.REPLAYED, Fate.WOULD_REPLAY, Fate.NOT_DELETED)
        return sum(self.fates[fate] for fate in sent)

    @property
    def failed(self) -> bool:
        """Whether a person has to look."""
        return (
            self.stopped is not None or not self.finished or any(self.fates[fate] for fate in _BAD)
        )

    def count(self, fate: Fate, letters: int) -> None:
        """Count letters, if there are any."""
        if letters:
            self.fates[fate] += letters

    def add(self, other: ReplayReport) -> None:
        """Take over what another did."""
        self.fates += other.fates
        self.verdicts += other.verdicts
        self.notes += other.notes
        self.sights += other.sights
        self.stopped = self.stopped or other.stopped
        self.manifest = self.manifest or other.manifest
        self.finished = self.finished and other.finished

    def note(self, letter: Letter, text: str) -> None:
        """Keep a line about a letter, if there are not too many."""
        if len(self.notes) < _KEPT_NOTES:
            self.notes.append(f"{letter.message_id}: {text}")
