"""Rows that lag behind the ledger, though no message is left that would make them follow.

A worker that was suspended may send a fact for a message that others have settled meanwhile, and
die before it writes the rows. Nothing asks for that fact again: it is sent. So before a fact is
confirmed, which closes it, its rows are looked at; while they lag it stays open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from producers.billing_month import BillingMonth
from producers.queues import Queue
from worker.ledger.fact import FactKind
from worker.tables.daily import BillingStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from producers.fan_out import FanOut
    from worker.ledger.item import LedgerItem
    from worker.tables.history import HistoryTable
    from worker.tables.monthly import MonthlyTable

_log = structlog.get_logger()
_QUEUE_OF = {FactKind.STORAGE: Queue.MONTHLY_BILLING, FactKind.FILE: Queue.FILE_PROCESSED}


class LaggingRows:
    """Asks for counted facts again whose rows do not say so.

    Args:
        monthly: the monthly rows, which are written last.
        history: the application's runs.
        fan_out: puts messages on queues.
    """

    def __init__(self, *, monthly: MonthlyTable, history: HistoryTable, fan_out: FanOut) -> None:
        self._monthly = monthly
        self._history = history
        self._fan_out = fan_out

    def catch_up(self, counted: LedgerItem) -> bool:
        """Enqueue a fact's message if its rows lag; returns whether they are known to, by then.

        Raises:
            EnqueueFailed: SQS did not take it.
        """
        if self._lag(counted):
            _log.info(
                "a fact is asked for again, so that its rows follow it",
                action="rows_asked_for",
                fact=counted.fact.key,
            )
            ask_again(self._fan_out, [counted])
            return counted.fact.correction is None
        return False

    def _lag(self, item: LedgerItem) -> bool:
        fact = item.fact
        if fact.correction is not None:
            # It has notes, and rows at times: to ask again is less than to look at them.
            return True
        if fact.kind is FactKind.STORAGE:
            row = self._monthly.standing(fact.customer_id, BillingMonth.parse(fact.subject))
            says = None if row is None else (row.billing_status, row.event_id)
            return says != (BillingStatus.BILLED, item.identifier)
        if not item.retries and item.generation == 1:
            # Stripe never said no, so nothing was noted on the run.
            return False
        run = self._history.find(fact.subject)
        return run is not None and run.stripe_error is not None


def ask_again(fan_out: FanOut, items: Iterable[LedgerItem]) -> int:
    """Enqueue the messages that facts came from; returns how many."""
    sent, every = 0, list(items)
    for kind, queue in _QUEUE_OF.items():
        origins = [item.fact.origin for item in every if item.fact.kind is kind]
        if origins:
            sent += fan_out.again(queue, origins).sent
    return sent
