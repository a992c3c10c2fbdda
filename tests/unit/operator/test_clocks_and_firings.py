from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import ANY, Stubber

from producers.messages import Job
from tests.unit.dead_letters.test_browsing import StillClock
from worker.doctor import clocks, firing
from worker.doctor.check import Standing

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NOW = datetime(2026, 11, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "standing"),
    [
        (0, Standing.OK),
        (29, Standing.OK),
        (-31, Standing.WARNING),
        (299, Standing.WARNING),
        (300, Standing.FAILED),
        (-90_000, Standing.FAILED),
    ],
)
def test_how_far_a_clock_may_be_off(seconds: int, standing: Standing) -> None:
    (verdict,) = clocks.judge("AWS", NOW - timedelta(seconds=seconds), NOW)

    assert verdict.standing is standing


def test_a_server_that_does_not_tell_its_time_is_no_fault() -> None:
    (verdict,) = clocks.judge("Stripe", None, NOW)

    assert verdict.standing is Standing.OK


def test_a_rule_that_stopped_is_named() -> None:
    fired = {
        Job.RESOLVE: NOW - timedelta(hours=5),
        Job.DAILY: NOW - timedelta(hours=2),
        Job.SWEEP: NOW - timedelta(hours=20),
        Job.RECONCILE: NOW - timedelta(hours=21),
        Job.MONTHLY: NOW - timedelta(days=31, hours=1),
    }

    *troubles, told = firing.judge(fired, NOW)

    (stopped,) = troubles
    assert (stopped.standing, stopped.detail[:8]) == (Standing.FAILED, "resolve:")
    assert "daily 11-01 01:00" in told.detail


def test_a_rule_that_never_fired_is_a_warning() -> None:
    warned = [verdict for verdict in firing.judge({}, NOW) if verdict.standing is Standing.WARNING]

    assert len(warned) == len(Job)


def test_what_cloudwatch_tells_on_a_second_page_is_read() -> None:
    cloudwatch: CloudWatchClient = boto3.client(
        "cloudwatch",
        region_name="eu-west-1",
        aws_access_key_id="invented",
        aws_secret_access_key="invented",
    )
    clock = StillClock()
    ids = {job: f"job{index}" for index, job in enumerate(Job)}
    pages = (
        # A metric may come in parts, and one without a part here is not one that never fired.
        {Job.DAILY: 2, Job.RESOLVE: 1},
        {Job.DAILY: 26, Job.SWEEP: 20, Job.RECONCILE: 21, Job.MONTHLY: 24},
    )
    asked = dict.fromkeys(("MetricDataQueries", "StartTime", "EndTime", "ScanBy"), ANY)
    with Stubber(cloudwatch) as stubber:
        for number, page in enumerate(pages):
            token = {"NextToken": "more"}
            stubber.add_response(
                "get_metric_data",
                {
                    "MetricDataResults": [
                        {"Id": ids[job], "Timestamps": [clock.now() - timedelta(hours=hours)]}
                        for job, hours in page.items()
                    ],
                    **(token if number == 0 else {}),
                },
                asked | (token if number else {}),
            )

        verdicts = list(firing.look_at_firings(cloudwatch, "siftbeam-", clock))

        stubber.assert_no_pending_responses()
    (told,) = verdicts
    assert told.standing is Standing.OK
    for fired in ("daily 11-01 22:00", "monthly 11-01 00:00", "sweep 11-01 04:00"):
        assert fired in told.detail
