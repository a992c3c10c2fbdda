"""When each schedule last really fired, by CloudWatch.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html: ``Invocations`` of a
rule, one a firing and target.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from producers.messages import Job
from worker.doctor.check import failed, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_cloudwatch import CloudWatchClient

    from worker.clock import Clock
    from worker.doctor.check import Verdict

_LOOKED_BACK = timedelta(days=35)
_HOUR = 3600
# How long apart two firings are at most, with an hour for CloudWatch to tell.
_EVERY = {
    Job.RESOLVE: timedelta(hours=3),
    Job.DAILY: timedelta(hours=26),
    Job.SWEEP: timedelta(hours=26),
    Job.RECONCILE: timedelta(hours=26),
    Job.MONTHLY: timedelta(days=31, hours=2),
}


def look_at_firings(
    cloudwatch: CloudWatchClient, queue_prefix: str, clock: Clock
) -> Iterator[Verdict]:
    """Each rule's last firing against how often it has to."""
    now = clock.now()
    jobs = tuple(Job)
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[
            {
                "Id": f"job{index}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Events",
                        "MetricName": "Invocations",
                        "Dimensions": [{"Name": "RuleName", "Value": queue_prefix + job}],
                    },
                    "Period": _HOUR,
                    "Stat": "Sum",
                },
            }
            for index, job in enumerate(jobs)
        ],
        StartTime=now - _LOOKED_BACK,
        EndTime=now,
        ScanBy="TimestampDescending",
    )
    # A metric may go on on the next page, or be told there for the first time.
    last: dict[Job, datetime] = {}
    for page in pages:
        for result in page["MetricDataResults"]:
            job = jobs[int(result["Id"].removeprefix("job"))]
            for fired in result["Timestamps"]:
                last[job] = max(fired, last.get(job, fired))
    yield from judge(last, now)


def judge(last: dict[Job, datetime], now: datetime) -> Iterator[Verdict]:
    """What the last firings say."""
    for job, every in _EVERY.items():
        fired = last.get(job)
        if fired is None:
            yield warning(
                f"{job}: CloudWatch knows of no firing in {_LOOKED_BACK.days} days",
                "expected right after a deployment; else see that the rule is enabled and its "
                "target is the schedule queue",
            )
        elif now - fired > every:
            yield failed(
                f"{job}: last fired {fired:%Y-%m-%d %H:%M} UTC, more than "
                f"{every // timedelta(hours=1)} hours ago",
                "see that the rule is enabled (aws events describe-rule); then enqueue what it "
                "missed (`siftbeam-billing enqueue`)",
            )
    told = ", ".join(f"{job} {fired:%m-%d %H:%M}" for job, fired in last.items())
    yield ok(f"last fired (UTC): {told}")
