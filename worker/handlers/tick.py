"""Ticks: a schedule fired, and its job runs for the time it fired, whenever that is."""

from __future__ import annotations

import itertools
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import structlog

from producers.billing_month import BillingMonth
from producers.messages import Job, Tick
from producers.queues import Queue
from worker.errors import Permanent
from worker.metrics import Metric
from worker.outcome import Done, Outcome, Retry

if TYPE_CHECKING:
    from datetime import date, datetime

    from producers.fan_out import FanOutCount
    from worker.clock import Clock
    from worker.consumer.backlog import Backlog
    from worker.consumer.received import ReceivedMessage
    from worker.expected import MissingRows
    from worker.jobs import Jobs, Resolved
    from worker.metrics import Metrics
    from worker.reconciliation.watch import Watch

_log = structlog.get_logger()
# How far back a nightly sweep looks for completed runs without a fact.
SWEEP_BACK = timedelta(days=7)
_CLOCKS_AGREE_WITHIN = timedelta(minutes=5)
_LONGEST_WAIT = timedelta(hours=1)
_FIRST_PAUSE_SECONDS = 5
# The hour (UTC) whose `resolve` tick looks for customers without a row: sizing begins at 01:00.
_ROWS_EXPECTED_AT = 3
_EXAMPLES = 20
_LONGEST_PAUSE_SECONDS = 300


class TickNotDue(Permanent):
    """The tick's own time lies in the future: no schedule sends that."""


class TickHandler:
    """Runs the job of a tick.

    Args:
        jobs: what the schedules ask for.
        watch: compares the last month with Stripe.
        backlog: tells whether daily sizing is still under way.
        metrics: what the alarms read.
        missing_rows: the customers without a row of a day.
        clock: the time.
    """

    def __init__(
        self,
        *,
        jobs: Jobs,
        watch: Watch,
        backlog: Backlog,
        metrics: Metrics,
        missing_rows: MissingRows,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._watch = watch
        self._backlog = backlog
        self._metrics = metrics
        self._missing_rows = missing_rows
        self._clock = clock

    def handle(self, message: Tick, received: ReceivedMessage) -> Outcome:
        """Run the job for the tick's own time. A tick that comes twice does no harm."""
        at = message.scheduled_time
        if at > self._clock.now() + _CLOCKS_AGREE_WITHIN:
            raise TickNotDue(
                f"the tick is for {at.isoformat()}, which has not come; nothing was enqueued"
            )
        count: FanOutCount
        match message.job:
            case Job.DAILY:
                count = self._jobs.daily(at.astimezone(UTC).date())
            case Job.MONTHLY:
                if self._sizing_goes_on(received):
                    return self._wait(received)
                count = self._jobs.monthly(BillingMonth.ended_before(at))
            case Job.RESOLVE:
                resolved = self._jobs.resolve(due_by=self._clock.now())
                self._measure(resolved, at.astimezone(UTC))
                return Done(f"resolve: {resolved.summary}")
            case Job.SWEEP:
                count = self._jobs.sweep(at - SWEEP_BACK)
            case Job.RECONCILE:
                return Done(f"reconcile: {self._watch.run(at)}")
        return _report(message.job, count)

    def _measure(self, resolved: Resolved, at: datetime) -> None:
        """Write what the alarms read of the hour's tick."""
        due = resolved.oldest_due
        waited = timedelta(0) if due is None else max(timedelta(0), self._clock.now() - due)
        figures: dict[str, int] = {Metric.OLDEST_DUE: int(waited.total_seconds())}
        if resolved.watches:
            figures[Metric.MONTHS_UNBILLED] = resolved.missing + resolved.unbilled
        if at.hour == _ROWS_EXPECTED_AT:
            figures[Metric.DAILY_ROWS_MISSING] = self._count_missing_rows(at.date())
        self._metrics.count(figures)

    def _count_missing_rows(self, day: date) -> int:
        customers = self._missing_rows.of(day)
        examples = list(itertools.islice(customers, _EXAMPLES))
        missing = len(examples) + sum(1 for _ in customers)
        if missing:
            _log.error(
                "customers have no daily row; `enqueue daily` measures them today, and the dead "
                "letters say what stood in the way",
                action="daily_rows_missing",
                day=day.isoformat(),
                customers=missing,
                examples=examples,
            )
        return missing

    def _sizing_goes_on(self, received: ReceivedMessage) -> bool:
        """Whether days are still being measured, or a tick before this one is still to run."""
        if self._clock.now() - received.first_received_at >= _LONGEST_WAIT:
            _log.warning(
                "daily sizing is not done after an hour; billing what there is",
                action="monthly_without_all_rows",
            )
            return False
        busy = self._backlog.of(Queue.DAILY_SIZING).total
        return busy > 0 or self._backlog.of(Queue.SCHEDULE).visible > 0

    def _wait(self, received: ReceivedMessage) -> Outcome:
        # Five minutes in the end, sooner at first: most sizing is done in seconds.
        doubled = _FIRST_PAUSE_SECONDS << min(received.receive_count - 1, 10)
        return Retry("daily sizing goes on", min(doubled, _LONGEST_PAUSE_SECONDS), limited=False)


def _report(job: Job, count: FanOutCount) -> Outcome:
    if count.refused:
        _log.error(
            "customers or runs that cannot be billed were left out",
            action="ids_refused",
            job=job,
            refused=count.refused,
            examples=count.examples,
        )
    return Done(f"{job}: {count.sent} messages enqueued")
