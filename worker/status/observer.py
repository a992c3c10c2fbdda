"""The observer: looks at queues every moment, at the rest now and then."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from producers.queues import Queue
from worker.status.snapshot import (
    DayProgress,
    MonthProgress,
    QueueStanding,
    Snapshot,
    Works,
)
from worker.tables.daily import BillingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from producers.queues import QueueDirectory
    from worker.clock import Clock
    from worker.consumer.backlog import Backlog
    from worker.controls import Controls
    from worker.ledger.store import Ledger
    from worker.listing.checkpoint import Checkpoint
    from worker.status.row_counts import RowCounts

# The works cost a few reads per ten thousand customers: they are looked at less often.
_WORKS_SECONDS = 30.0
_MOST_OPEN = 10_000
_THREADS = 10


class Observer:
    """Takes snapshots.

    Args:
        backlog: counts messages.
        queues: names the queues.
        counts: counts rows.
        listings: the long listings that are under way.
        ledger: knows what is open.
        stripe_problem: why Stripe cannot be used; None where it can.
        controls: what is paused.
        count_customers: whether the customers are in a table that can be counted.
        clock: the time.
    """

    def __init__(
        self,
        *,
        backlog: Backlog,
        queues: QueueDirectory,
        counts: RowCounts,
        listings: Callable[[], Sequence[Checkpoint]],
        ledger: Ledger,
        stripe_problem: Callable[[], str | None],
        controls: Callable[[], Controls],
        count_customers: bool,
        clock: Clock,
    ) -> None:
        self._backlog = backlog
        self._queues = queues
        self._counts = counts
        self._listings = listings
        self._ledger = ledger
        self._stripe_problem = stripe_problem
        self._controls = controls
        self._count_customers = count_customers
        self._clock = clock
        self._works: tuple[float, Works] | None = None

    def look(self) -> Snapshot:
        """A snapshot of now; its works may be half a minute old."""
        now, last = self._clock.monotonic(), self._works
        if last is None or now - last[0] >= _WORKS_SECONDS:
            last = self._works = (now, self._look_at_works())
        at = self._clock.now()
        with ThreadPoolExecutor(_THREADS) as crew:
            queues = tuple(crew.map(self._look_at, Queue))
        return Snapshot(at, queues, tuple(self._listings()), last[1])

    def _look_at(self, queue: Queue) -> QueueStanding:
        return QueueStanding(
            self._queues.name(queue),
            self._backlog.of(queue),
            self._backlog.of_dead_letters(queue).total,
        )

    def _look_at_works(self) -> Works:
        now = self._clock.now()
        month, today = BillingMonth.ended_before(now), now.date()
        waiting = list(itertools.islice(self._ledger.waiting(None), _MOST_OPEN))
        return Works(
            day=DayProgress(
                today,
                self._counts.daily(today),
                self._counts.customers() if self._count_customers else None,
            ),
            month=MonthProgress(
                month,
                billed=self._counts.monthly(month, BillingStatus.BILLED),
                failed=self._counts.monthly(month, BillingStatus.FAILED),
                pending=self._counts.monthly(month, BillingStatus.PENDING),
                expected=self._counts.daily(month.last_day),
            ),
            open_facts=Counter(item.state for item in waiting),
            open_since=min((item.created_at for item in waiting), default=None),
            stripe=self._stripe_problem(),
            controls=self._controls(),
        )
