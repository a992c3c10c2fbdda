"""Ticks: a schedule fired, and its job runs for the time it fired, whenever that is."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import structlog

from producers.billing_month import BillingMonth
from producers.messages import Job, Tick
from producers.queues import Queue
from worker.errors import Permanent
from worker.outcome import Done, Outcome, Retry

if TYPE_CHECKING:
    from producers.fan_out import FanOutCount
    from worker.clock import Clock
    from worker.consumer.backlog import Backlog
    from worker.consumer.received import ReceivedMessage
    from worker.jobs import Jobs
    from worker.reconciliation.watch import Watch

_log = structlog.get_logger()
# How far back a nightly sweep looks for completed runs without a fact.
SWEEP_BACK = timedelta(days=7)
_CLOCKS_AGREE_WITHIN = timedelta(minutes=5)
_LONGEST_WAIT = timedelta(hours=1)
_FIRST_PAUSE_SECONDS = 5
_LONGEST_PAUSE_SECONDS = 300


class TickNotDue(Permanent):
    """The tick's own time lies in the future: no schedule sends that."""


class TickHandler:
    """Runs the job of a tick.

    Args:
        jobs: what the schedules ask for.
        watch: compares the last month with Stripe.
        backlog: tells whether daily sizing is still under way.
        clock: the time.
    """

    def __init__(self, *, jobs: Jobs, watch: Watch, backlog: Backlog, clock: Clock) -> None:
        self._jobs = jobs
        self._watch = watch
        self._backlog = backlog
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
                return Done(f"resolve: {resolved.summary}")
            case Job.SWEEP:
                count = self._jobs.sweep(at - SWEEP_BACK)
            case Job.RECONCILE:
                return Done(f"reconcile: {self._watch.run(at)}")
        return _report(message.job, count)

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
