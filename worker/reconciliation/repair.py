"""The repair: what a reconciliation may set going by itself.

Everything it does, the ledger's rules do anyway in their own time. It never starts a generation
and never changes a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.errors import BillingError
from worker.ledger.rules import Attempt, Overdue, next_step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from worker.clock import Clock
    from worker.jobs import Jobs
    from worker.ledger.item import LedgerItem
    from worker.reconciliation.line import Line
    from worker.reconciliation.report import Report


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was set going.

    Args:
        asked_again: facts whose next attempt, or decision, is due.
        months: customers whose month is billed now.
        reports: Stripe's reports of refusals.
        problem: why these could not be fetched, if they could not.
    """

    asked_again: int
    months: int
    reports: int = 0
    problem: str | None = None


def repair(report: Report, jobs: Jobs, clock: Clock) -> Repaired:
    """Enqueue what is due, the months without a fact, and Stripe's reports of refusals."""
    now = clock.now()
    asked_again = jobs.ask_again([item for line in report.lines for item in _due(line, now)])
    months = jobs.bill(report.month, report.missing).sent if report.missing else 0
    try:
        reports = jobs.fetch_reports()
    except BillingError as error:
        return Repaired(asked_again, months, problem=str(error))
    return Repaired(asked_again, months, reports)


def _due(line: Line, now: datetime) -> Iterator[LedgerItem]:
    for item in (*line.waiting, *line.overdue):
        due_at = item.next_attempt_at
        if due_at is not None and due_at <= now and _to_do(item, now):
            yield item


def _to_do(item: LedgerItem, now: datetime) -> bool:
    return isinstance(next_step(item, now), (Attempt, Overdue))
