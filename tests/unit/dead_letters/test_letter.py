from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from producers.queues import Queue
from worker.dead_letter import (
    FIELDS,
    FOLDED,
    MOST_ATTRIBUTES,
    Death,
    dead_letter_attributes,
    read_dead_letter,
)
from worker.dead_letters.letter import MOVED_BY_SQS, NO_REASON, Letter

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueOutputTypeDef, MessageTypeDef

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
DEATH = Death(
    error_type="NothingToBill",
    error_message="nothing lies there",
    failed_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
    receive_count=3,
    source_queue="siftbeam-file-processed",
    original_message_id="11111111-aaaa",
)
Received = dict[str, "MessageAttributeValueOutputTypeDef"]


def string(value: str) -> MessageAttributeValueOutputTypeDef:
    return {"DataType": "String", "StringValue": value}


def received(attributes: Received, moved_from: str | None = None) -> MessageTypeDef:
    message: MessageTypeDef = {
        "MessageId": "22222222-bbbb",
        "ReceiptHandle": "handle",
        "Body": "{}",
        "MessageAttributes": attributes,
        "Attributes": {"SentTimestamp": "1793620800000"},
    }
    if moved_from is not None:
        message["Attributes"]["DeadLetterQueueSourceArn"] = moved_from
    return message


def died(own: Received) -> Received:
    written = dead_letter_attributes(own, DEATH)
    back: Received = {}
    for name, value in written.items():
        binary = value.get("BinaryValue")
        if isinstance(binary, bytes):
            back[name] = {"DataType": value["DataType"], "BinaryValue": binary}
        else:
            back[name] = {"DataType": value["DataType"], "StringValue": value["StringValue"]}
    return back


@pytest.mark.parametrize("count", range(MOST_ATTRIBUTES + 1))
def test_the_own_attributes_come_back_whatever_their_number(count: int) -> None:
    own: Received = {f"a{n}": string(str(n)) for n in range(count)}
    if count:
        own["a0"] = {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"}

    stored = died(own)

    assert len(stored) <= MOST_ATTRIBUTES
    assert read_dead_letter(stored) == (DEATH, own)


@pytest.mark.parametrize(
    "text",
    [
        "a text of the sender's own",
        "[]",
        "{}",
        '{"death": []}',
        '{"death": {}, "attributes": []}',
        '{"death": null}',
    ],
)
def test_an_attribute_that_only_has_our_name_stays_the_messages_own(text: str) -> None:
    own: Received = {FOLDED: string(text)}

    assert read_dead_letter(own) == (None, own)


@pytest.mark.parametrize("count", [1, 4, 5, 10])
def test_even_an_attribute_of_our_name_survives_a_death(count: int) -> None:
    own: Received = {FOLDED: string("mine")} | {f"a{n}": string("x") for n in range(count - 1)}

    assert read_dead_letter(died(own)) == (DEATH, own)


@pytest.mark.parametrize("names", [FIELDS[:1], FIELDS[1:4], FIELDS[:5], FIELDS])
@pytest.mark.parametrize("others", [0, 3, 4])
def test_attributes_named_like_the_reason_survive_a_death(
    names: tuple[str, ...], others: int
) -> None:
    own: Received = {name: string("the sender's") for name in names}
    own |= {f"a{n}": string("x") for n in range(others)}

    stored = died(own)

    assert len(stored) <= MOST_ATTRIBUTES
    assert read_dead_letter(stored) == (DEATH, own)


@pytest.mark.parametrize("count", [3, 5, 10])
def test_a_letter_that_sqs_itself_sent_back_may_die_again(count: int) -> None:
    own: Received = {f"a{n}": string(str(n)) for n in range(count)}

    assert read_dead_letter(died(died(own))) == (DEATH, own)


@pytest.mark.parametrize(
    "inside",
    [
        [],
        {"x": []},
        {"x": {"DataType": "String"}},
        {"x": {"DataType": "Binary", "Binary": "no base64!"}},
    ],
)
def test_a_malformed_fold_never_raises(inside: object) -> None:
    folded = json.loads(died({f"a{n}": string("x") for n in range(10)})[FOLDED]["StringValue"])
    stored: Received = {FOLDED: string(json.dumps(folded | {"attributes": inside}))}

    death, own = read_dead_letter(stored)

    assert death is None
    assert own == stored


def test_the_workers_reason_is_the_letters() -> None:
    letter = Letter.read(Queue.FILE_PROCESSED, received(died({"own": string("x")})), NOW)

    assert (letter.reason.type, letter.reason.message) == ("NothingToBill", "nothing lies there")
    assert letter.since == DEATH.failed_at
    assert letter.own == {"own": string("x")}
    assert letter.is_named("1111")
    assert letter.is_named("2222")
    assert not letter.is_named("3333")


def test_sqs_moves_letters_without_a_reason() -> None:
    moved = received({}, moved_from="arn:aws:sqs:x:000000000000:siftbeam-schedule")

    assert Letter.read(Queue.SCHEDULE, moved, NOW).reason.type == MOVED_BY_SQS
    assert Letter.read(Queue.SCHEDULE, received({}), NOW).reason.type == NO_REASON


def test_eventbridge_says_why_it_gave_up() -> None:
    attributes: Received = {
        "RULE_ARN": string("arn:aws:events:x:000000000000:rule/siftbeam-daily"),
        "TARGET_ARN": string("arn:aws:sqs:x:000000000000:siftbeam-schedule"),
        "ERROR_CODE": string("SDK_CLIENT_ERROR"),
        "ERROR_MESSAGE": string("no\x00way"),
        "EXHAUSTED_RETRY_CONDITION": string("MaximumRetryAttempts"),
        "RETRY_ATTEMPTS": string("185"),
    }

    letter = Letter.read(Queue.SCHEDULE, received(attributes), NOW)

    assert letter.reason.type == "SDK_CLIENT_ERROR"
    assert letter.reason.message == (
        "EventBridge could not deliver for rule siftbeam-daily: no way"
    )
    assert letter.own == {}
    assert letter.attributes == attributes
