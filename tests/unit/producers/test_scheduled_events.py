from datetime import UTC, datetime

import pytest

from producers.messages import Job, UnreadableMessage
from producers.scheduled_events import is_scheduled_event, scheduled_tick

RULE = "arn:aws:events:ap-northeast-1:000000000000:rule/siftbeam-"
ENVELOPE: dict[str, object] = {
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "time": "2026-11-01T02:00:00Z",
}


@pytest.mark.parametrize("job", list(Job))
def test_a_rules_name_ends_with_its_job(job: Job) -> None:
    content = ENVELOPE | {"resources": [f"{RULE}{job}"]}

    tick = scheduled_tick(content)

    assert is_scheduled_event(content)
    assert (tick.job, tick.scheduled_time) == (job, datetime(2026, 11, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    "wrong",
    [
        {"resources": [f"{RULE}weekly"]},
        {"resources": [f"{RULE[:-1]}daily-too"]},
        {"resources": []},
        {"resources": [7]},
        {},
        {"resources": [f"{RULE}daily"], "time": "2026-11-01T02:00:00"},
        {"resources": [f"{RULE}daily"], "time": None},
        {"resources": [f"{RULE}daily"], "time": "0001-01-01T00:00:00Z"},
    ],
)
def test_another_rule_or_a_hole_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UnreadableMessage, match="scheduled event: "):
        scheduled_tick(ENVELOPE | wrong)
