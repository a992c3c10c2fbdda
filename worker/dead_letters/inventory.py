"""The inventory: dead letters counted by what they are about, in memory for the groups alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    """Letters that have something in common.

    Args:
        count: how many.
        oldest: since when the oldest is dead, UTC.
        oldest_id: its message id.
        kept_until: when SQS drops the first of them, UTC.
    """

    count: int
    oldest: datetime
    oldest_id: str
    kept_until: datetime

    @classmethod
    def of(cls, letter: Letter) -> Group:
        """A group of one."""
        return cls(1, letter.since, letter.message_id, letter.kept_until)

    def add(self, other: Group) -> None:
        """Take another group in."""
        self.count += other.count
        # Of several as old, always the same one, whatever the order they come in.
        self.oldest, self.oldest_id = min(
            (self.oldest, self.oldest_id), (other.oldest, other.oldest_id)
        )
        self.kept_until = min(self.kept_until, other.kept_until)


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
        _add(self.groups, key, Group.of(letter))

    @property
    def total(self) -> int:
        """All letters counted."""
        return sum(group.count for group in self.groups.values())

    def ordered(self) -> list[tuple[GroupKey, Group]]:
        """The groups by customer too, the largest first."""
        return _ordered(self.groups)

    def by_reason(self) -> list[tuple[GroupKey, Group]]:
        """The groups by queue, kind and reason alone, the largest first."""
        found: dict[GroupKey, Group] = {}
        for key, group in self.groups.items():
            _add(found, replace(key, customer=None), replace(group))
        return _ordered(found)

    def leaving_before(self, instant: datetime) -> datetime | None:
        """When SQS drops the first letter, UTC, if that is before ``instant``."""
        first = min((group.kept_until for group in self.groups.values()), default=instant)
        return first if first < instant else None


def _add(groups: dict[GroupKey, Group], key: GroupKey, group: Group) -> None:
    there = groups.get(key)
    if there is None:
        groups[key] = group
    else:
        there.add(group)


def _ordered(groups: dict[GroupKey, Group]) -> list[tuple[GroupKey, Group]]:
    return sorted(
        groups.items(),
        key=lambda pair: (
            -pair[1].count,
            pair[0].queue,
            pair[0].kind,
            pair[0].reason,
            pair[0].customer or "",
        ),
    )
