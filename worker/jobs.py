"""The jobs that schedules and operators start: each fans out messages and ends."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from producers.fan_out import FanOutCount
from producers.queues import Queue
from worker.ledger.fact import FactKind
from worker.ledger.item import OPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date, datetime

    from producers.billing_month import BillingMonth
    from producers.fan_out import FanOut
    from worker.ledger.store import Ledger
    from worker.sweep import Sweep
    from worker.tables.daily import DailyTable

_CHUNK = 1000
_QUEUE_OF = {FactKind.STORAGE: Queue.MONTHLY_BILLING, FactKind.FILE: Queue.FILE_PROCESSED}


class Jobs:
    """What a tick, or `enqueue` and `resolve` by hand, set going.

    Args:
        fan_out: puts messages on queues, or only counts them.
        customers: every customer's id.
        daily: knows which customers have rows in a month.
        ledger: knows what waits.
        sweep: finds completed runs that no fact bills.
    """

    def __init__(
        self,
        *,
        fan_out: FanOut,
        customers: Callable[[], Iterable[str]],
        daily: DailyTable,
        ledger: Ledger,
        sweep: Sweep,
    ) -> None:
        self._fan_out = fan_out
        self._customers = customers
        self._daily = daily
        self._ledger = ledger
        self._sweep = sweep

    def daily(self, day: date, only: str | None = None) -> FanOutCount:
        """Enqueue the sizing of every customer, or of one, for a day (UTC)."""
        return self._fan_out.daily(self._customers() if only is None else (only,), day)

    def monthly(self, month: BillingMonth, only: str | None = None) -> FanOutCount:
        """Enqueue the billing of every customer with rows in a month, or of one."""
        customers = self._daily.customers(month) if only is None else (only,)
        return self._fan_out.monthly(customers, month)

    def resolve(self, due_by: datetime | None) -> FanOutCount:
        """Enqueue again the facts that wait: those due by an instant, or all."""
        counts = FanOutCount()
        waits = (item for item in self._ledger.waiting(due_by) if item.state in OPEN)
        while chunk := list(itertools.islice(waits, _CHUNK)):
            for kind, queue in _QUEUE_OF.items():
                origins = [item.fact.origin for item in chunk if item.fact.kind is kind]
                counts.sent += self._fan_out.again(queue, origins).sent
        return counts

    def sweep(self, since: datetime) -> FanOutCount:
        """Enqueue the runs that completed since an instant and that no fact bills."""
        return self._fan_out.completions(self._sweep.unbilled(since))
