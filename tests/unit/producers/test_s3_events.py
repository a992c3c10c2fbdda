import json
from datetime import UTC, datetime
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.messages import UnreadableMessage, parse_object
from producers.s3_events import completions, is_s3_event

AT = "2026-10-31T12:00:00.000Z"
KEYS = st.text(min_size=1, max_size=200).filter(str.isprintable)


def record(key: str, name: str = "ObjectCreated:Put") -> dict[str, object]:
    return {
        "eventName": name,
        "eventTime": AT,
        "s3": {"bucket": {"name": "siftbeam"}, "object": {"key": key}},
    }


def envelope(key: str) -> dict[str, object]:
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": AT,
        "detail": {"bucket": {"name": "siftbeam"}, "object": {"key": key}},
    }


@given(KEYS)
def test_an_envelopes_key_is_taken_as_it_is(key: str) -> None:
    (message,) = completions(parse_object(json.dumps(envelope(key)))).files
    assert (message.key, message.bucket) == (key, "siftbeam")
    assert message.event_time == datetime(2026, 10, 31, 12, tzinfo=UTC)


@given(st.lists(KEYS, max_size=5))
def test_a_records_key_is_decoded(keys: list[str]) -> None:
    content = {"Records": [record(quote_plus(key)) for key in keys]}
    assert [message.key for message in completions(content).files] == keys


def test_only_creations_count() -> None:
    names = ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "ObjectRemoved:Delete"]
    content = {"Records": [record(name, name) for name in names]}
    assert [message.key for message in completions(content).files] == names[:2]


@pytest.mark.parametrize(
    "content",
    [
        {"Records": None},
        {"Records": {}},
        {"Records": ["text"]},
        {"Records": [{"eventName": "ObjectCreated:Put"}]},
        {"Records": [record("")]},
        {"source": "aws.s3"},
        envelope("k") | {"time": "yesterday"},
        envelope("k") | {"time": "2026-10-31T12:00:00"},
        envelope("k") | {"detail": {"bucket": {"name": "b"}}},
        envelope("k") | {"detail": {"bucket": {"name": "b"}, "object": {"key": 7}}},
    ],
)
def test_s3s_shape_with_a_hole_is_refused(content: dict[str, object]) -> None:
    assert is_s3_event(content)
    with pytest.raises(UnreadableMessage, match="S3 event: "):
        completions(content)


def test_our_own_message_is_none_of_s3s() -> None:
    assert not is_s3_event({"kind": "tick"})
