"""A snapshot: everything that the status shows, at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from producers.billing_month import BillingMonth
    from worker.consumer.backlog import Count
    from worker.controls import Controls
    from worker.ledger.item import State
    from worker.listing.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """A queue: its full name, what it holds, and what its dead-letter queue holds."""

    name: str
    held: Count
    dead: int


@dataclass(frozen=True, slots=True)
class DayProgress:
    """How far a day's sizing is.

    Args:
        day: the day.
        measured: customers with a row of it.
        customers: all of them; None where the source would have to be asked in pages.
    """

    day: date
    measured: int
    customers: int | None


@dataclass(frozen=True, slots=True)
class MonthProgress:
    """How far a month's billing is.

    Args:
        month: the month.
        billed: customers whose monthly row says so.
        failed: customers whose event was refused.
        pending: customers whose month is under way.
        expected: customers with a row on the month's last day.
    """

    month: BillingMonth
    billed: int
    failed: int
    pending: int
    expected: int

    @property
    def to_come(self) -> int:
        """Customers without a monthly row, as far as the last day tells."""
        return max(0, self.expected - self.billed - self.failed - self.pending)


@dataclass(frozen=True, slots=True)
class Works:
    """What takes more than a moment to find out.

    Args:
        day: today's sizing.
        month: the billing of the last month that ended.
        open_facts: how many facts wait in which state; at most as many as are counted.
        open_since: since when the oldest of them has waited; None where none does.
        stripe: why Stripe cannot be used; None where it answers and takes the key.
        controls: what is paused, and who is excluded.
    """

    day: DayProgress
    month: MonthProgress
    open_facts: Mapping[State, int]
    open_since: datetime | None
    stripe: str | None
    controls: Controls


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it.

    Args:
        at: when the queues were counted, UTC.
        queues: in the order of the work.
        listings: the long ones that are under way.
        works: the rest, which may be half a minute old.
    """

    at: datetime
    queues: tuple[QueueStanding, ...]
    listings: tuple[Checkpoint, ...]
    works: Works

    @property
    def dead_letters(self) -> int:
        """All that are there."""
        return sum(queue.dead for queue in self.queues)

    @property
    def needs_a_person(self) -> bool:
        """Whether something will not go by itself."""
        return bool(self.dead_letters or self.works.month.failed or self.works.stripe)
