"""The inventory: dead letters counted by what they are about, in memory for the groups alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from producers.queues import Queue
    from worker.dead_letters.letter import Letter
    from worker.dead_letters.subject import Subject


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What the letters of a group have in common."""

    queue: Queue
    kind: str
    reason: str
    customer: str | None


@dataclass(slots=True)
class Group:
    """How many letters a group has, and since when the oldest is here (UTC)."""

    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Sight:
    """How much of a queue one pass saw.

    Args:
        queue: whose dead-letter queue.
        seen: letters seen, each once.
        expected: letters there were when the pass began, by SQS's approximate count.
        hidden: those of them in flight then: another pass holds them, or one that just ended did.
        full: whether the pass ended because it held as many as SQS allows.
    """

    queue: Queue
    seen: int
    expected: int
    hidden: int
    full: bool

    @property
    def missed(self) -> int:
        """How many the pass should have seen and did not, as far as the counts tell."""
        return max(0, self.expected - self.seen)

    @property
    def complete(self) -> bool:
        """Whether the pass saw all that SQS counts."""
        return self.missed == 0 and not self.full


@dataclass(slots=True)
class Inventory:
    """The groups, and how much of each queue was seen."""

    groups: dict[GroupKey, Group] = field(default_factory=dict)
    sights: list[Sight] = field(default_factory=list)

    def add(self, letter: Letter, subject: Subject) -> None:
        """Count a letter."""
        key = GroupKey(letter.queue, subject.kind, letter.reason.type, subject.customer)
        group = self.groups.get(key)
        if group is None:
            self.groups[key] = Group(1, letter.since)
        else:
            group.count += 1
            group.oldest = min(group.oldest, letter.since)

    @property
    def total(self) -> int:
        """All letters counted."""
        return sum(group.count for group in self.groups.values())

    def ordered(self) -> list[tuple[GroupKey, Group]]:
        """The groups by queue, the largest first."""
        return sorted(
            self.groups.items(),
            key=lambda pair: (
                pair[0].queue,
                -pair[1].count,
                pair[0].kind,
                pair[0].reason,
                pair[0].customer or "",
            ),
        )
