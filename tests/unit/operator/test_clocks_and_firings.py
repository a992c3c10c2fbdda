from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from producers.messages import Job
from worker.doctor import clocks, firing
from worker.doctor.check import Standing

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
