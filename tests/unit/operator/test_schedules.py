from datetime import timedelta

import pytest

from worker.doctor.check import Standing
from worker.doctor.cron import first_of_month, values
from worker.doctor.schedules import judge_grace, matches
from worker.settings import Settings


@pytest.mark.parametrize(
    ("expression", "after"),
    [
        ("cron(0 2 1 * ? *)", timedelta(hours=2)),
        ("cron(5 0 1 * ? *)", timedelta(minutes=5)),
        ("cron(30 4,6 3 * ? *)", timedelta(days=2, hours=4, minutes=30)),
        ("cron(0/15 1-3 1 * ? *)", timedelta(hours=1)),
        ("cron(0 0 * * ? *)", timedelta(0)),
        ("cron(0 2 L * ? *)", None),
        ("cron(0 2 ? * MON *)", None),
        ("cron(0 2 1 1 ? *)", None),
        ("cron(0 2 31 * ? *)", None),
        ("cron(0 24 1 * ? *)", None),
        ("rate(1 day)", None),
        ("", None),
    ],
)
def test_when_a_monthly_schedule_first_comes(expression: str, after: timedelta | None) -> None:
    assert first_of_month(expression) == after


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("*", range(60)),
        ("5", [5]),
        ("1/20", [1, 21, 41]),
        ("3-5,9", [3, 4, 5, 9]),
        ("*/30", [0, 30]),
    ],
)
def test_a_fields_numbers(field: str, expected: range | list[int]) -> None:
    assert values(field, 0, 59) == frozenset(expected)


@pytest.mark.parametrize("field", ["", "x", "5-3", "60", "1/0", "3W", "1,,2"])
def test_a_field_that_is_not_read(field: str) -> None:
    assert values(field, 0, 59) == frozenset()


@pytest.mark.parametrize(
    ("expression", "grace", "standing"),
    [
        ("cron(0 2 1 * ? *)", 1, Standing.FAILED),
        ("cron(0 2 1 * ? *)", 2, Standing.FAILED),
        ("cron(59 1 1 * ? *)", 2, None),
        ("cron(0 2 1 * ? *)", 72, None),
        ("cron(5 0 1 * ? *)", 1, None),
        ("cron(5 0 1 * ? *)", 0, Standing.FAILED),
        ("cron(0 0 4 * ? *)", 72, Standing.FAILED),
        ("rate(1 day)", 72, Standing.WARNING),
    ],
)
def test_the_monthly_tick_has_to_come_before_the_invoices_are_final(
    expression: str, grace: int, standing: Standing | None
) -> None:
    verdicts = list(judge_grace(expression, grace, "earlier"))

    assert [verdict.standing for verdict in verdicts] == ([] if standing is None else [standing])


def test_a_late_tick_can_be_mended_both_ways() -> None:
    (verdict,) = judge_grace("cron(0 2 1 * ? *)", 1, "earlier")

    assert "2 h 00 min" in verdict.detail
    assert verdict.remedy is not None
    assert "SIFTBEAM_STRIPE_GRACE_HOURS=72" in verdict.remedy
    assert "cron(5 0 1 * ? *)" in verdict.remedy


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        ('{"detail":{"bucket":{"name":["b-1"]},"object":{"key":[{"prefix":"out/"}]}}}', True),
        ('{"detail":{"bucket":{"name":["b-1"]},"object":{"key":[{"prefix":"o"}]}}}', True),
        ('{"detail":{"bucket":{"name":["b-2"]},"object":{"key":[{"prefix":"out/"}]}}}', False),
        ('{"detail":{"bucket":{"name":["b-1"]},"object":{"key":[{"prefix":"out/x/"}]}}}', False),
        ('{"detail":{"bucket":{"name":["b-1"]}}}', False),
        ("", False),
    ],
)
def test_which_outputs_a_rule_covers(
    pattern: str, *, covers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIFTBEAM_BUCKET", "b-1")
    monkeypatch.setenv("SIFTBEAM_OUTPUT_PREFIX", "out/")

    assert matches(pattern, Settings()) is covers
