"""How long tasks run in a month: the worker sleeps while nothing waits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from worker.cost.workload import DAYS, MONTH, PAGE_SECONDS, RESOLVE, RUN, SIZING

if TYPE_CHECKING:
    from worker.cost.workload import Workload

# From the compute template: 01:00, and 06:00, 12:00 and 18:00, and on the 1st from 02:00 to 06:30.
WAKES_A_DAY = 4
FIRST_OF_MONTH_SECONDS = Decimal(4 * 3600 + 1800)
RUNS_THAT_WAKE = 1000
# Fetching the image and starting (a minute), two idle minutes, and three more until CloudWatch has
# the figures, the alarm has looked at them and the task has ended. Not measured on AWS.
OVERHEAD_SECONDS = Decimal(360)
_DAY_SECONDS = Decimal(86_400)


def file_wakes_a_day(workload: Workload) -> Decimal:
    """How often runs start a worker in a day.

    A cycle is the time until a run comes, the time it waits (or until so many wait that nobody
    waits any longer), and the time a task is up. Wakes that come anyway are not subtracted.
    """
    if workload.files == 0:
        return Decimal(0)
    between = _DAY_SECONDS / workload.files
    waiting = min(Decimal(workload.wait_seconds), between * RUNS_THAT_WAKE)
    return _DAY_SECONDS / (between + waiting + OVERHEAD_SECONDS)


def starts_a_month(workload: Workload) -> Decimal:
    """How often a task is started in a month."""
    return DAYS * (WAKES_A_DAY + file_wakes_a_day(workload)) + 1


def work_seconds(workload: Workload) -> Decimal:
    """Seconds of actual work a month, on a quarter of a vCPU."""
    daily = (
        workload.customers * SIZING.seconds
        + workload.extra_pages * PAGE_SECONDS
        + workload.files * RUN.seconds
        + 24 * RESOLVE.seconds
    )
    return DAYS * daily + workload.customers * MONTH.seconds


def task_hours(workload: Workload) -> Decimal:
    """Hours that tasks run in a month, the seconds between work and sleep counted."""
    seconds = starts_a_month(workload) * OVERHEAD_SECONDS + work_seconds(workload)
    return (seconds + FIRST_OF_MONTH_SECONDS) / 3600
