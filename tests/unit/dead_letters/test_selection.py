from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from producers.queues import Queue
from worker.dead_letters.letter import Letter, Reason
from worker.dead_letters.selection import Selection, parse_duration
from worker.dead_letters.subject import Subject

NOW = datetime(2026, 11, 2, tzinfo=UTC)
LETTER = Letter(
    queue=Queue.FILE_PROCESSED,
    message_id="id-1",
    receipt_handle="handle",
    body="{}",
    attributes={},
    own={},
    death=None,
    reason=Reason("GaveUp", "twelve times"),
    sent_at=NOW - timedelta(hours=2),
)
SUBJECT = Subject(kind="file_processed", customers=("cus_A",))


@pytest.mark.parametrize(
    ("selection", "fits"),
    [
        (Selection(), True),
        (Selection(ids=frozenset({"id-1"})), True),
        (Selection(ids=frozenset({"id-2"})), False),
        (Selection(ids=frozenset()), False),
        (Selection(customer="cus_A"), True),
        (Selection(customer="cus_AB"), False),
        (Selection(kind="tick"), False),
        (Selection(reason="GaveUp"), True),
        (Selection(reason="Gave"), False),
        (Selection(older_than=timedelta(hours=2)), True),
        (Selection(older_than=timedelta(hours=3)), False),
        (Selection(newer_than=timedelta(hours=2)), True),
        (Selection(newer_than=timedelta(hours=1)), False),
        (Selection(customer="cus_A", kind="tick"), False),
    ],
)
def test_everything_given_has_to_fit(selection: Selection, *, fits: bool) -> None:
    assert selection.fits(LETTER, SUBJECT, NOW) is fits


def test_a_letter_about_several_customers_is_none_of_theirs() -> None:
    several = Subject(kind="file_processed", customers=("cus_A", "cus_B"))

    assert several.customer == "several"
    assert not Selection(customer="cus_A").fits(LETTER, several, NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("6h", 21_600), ("2d", 172_800), ("1w", 604_800), ("1h30m", 5_400)],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "1.5h", "-1h", "1h ", "9999999s", "1y", "٣h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 90s"):
        parse_duration(text)
