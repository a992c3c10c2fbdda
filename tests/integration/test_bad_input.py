"""Bad input through the real queues: each on its dead-letter queue with its reason, no others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from producers.queues import Queue
from tests.integration.scenario import Scenario, bill_body, size_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

MOST_BYTES = 256 * 1024

UNREADABLE: Mapping[str, tuple[str, str]] = {
    "no JSON": ("{", "not JSON"),
    "deep nesting": ("[" * 50_000 + "]" * 50_000, "not JSON"),
    "a list": ("[1]", "not an object"),
    "a number": ("7", "not an object"),
    "no kind": ("{}", "unknown kind None"),
    "another kind": ('{"kind": "bill_everybody", "version": 1}', "unknown kind 'bill_everybody'"),
    "a newer version": (bill_body("cus_A").replace(":1,", ":2,"), "newer than this worker's 1"),
    "no customer": ('{"kind":"size_customer","version":1,"date":"2026-11-01"}', "customerId"),
    "an empty customer": (size_body("cus_A", "2026-11-01").replace("cus_A", ""), "customerId"),
    "a slashed customer": (bill_body("cus_A").replace("cus_A", "cus_A/x"), "customerId: 'cus_A/x'"),
    "a numbered customer": (bill_body("cus_A").replace('"cus_A"', "7"), "customerId"),
    "month 13": (bill_body("cus_A").replace("2026-10", "2026-13"), "'2026-13': there is no such"),
    "a month too late": (bill_body("cus_A").replace("2026-10", "9999-12"), "no such month"),
    "30 February": (size_body("cus_A", "2026-11-01").replace("11-01", "02-30"), "date"),
    "a numbered date": (size_body("cus_A", "2026-11-01").replace('"2026-11-01"', "7"), "date"),
    "half an S3 event": ('{"source": "aws.s3"}', "S3 event"),
    "half a schedule": ('{"detail-type": "Scheduled Event"}', "scheduled event"),
}
PERMANENT: Mapping[str, tuple[str, str, str]] = {
    "a day to come": (size_body("cus_A", "2026-11-02"), "DayNotBegun", "2026-11-02"),
    "a month not over": (bill_body("cus_A", "2026-11"), "MonthNotOver", "2026-11 has not ended"),
    "a month without rows": (bill_body("cus_B"), "NoDailyRows", "cus_B"),
}


def test_each_bad_message_is_dead_lettered_with_its_reason_and_nothing_else(
    scenario: Scenario,
) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    expected = {body: ("UnreadableMessage", said) for body, said in UNREADABLE.values()}
    expected |= {body: (kind, said) for body, kind, said in PERMANENT.values()}
    good = bill_body("cus_A")
    for body in [*expected, good]:
        scenario.send(Queue.MONTHLY_BILLING, body)

    scenario.drain(Queue.MONTHLY_BILLING)

    letters = scenario.letters(Queue.MONTHLY_BILLING)
    assert sorted(letter.body for letter in letters) == sorted(expected)
    for letter in letters:
        kind, said = expected[letter.body]
        assert letter.error_type == kind
        assert said in letter.reason
        assert len(letter.reason) <= 1_024
        assert letter.death is not None
        assert letter.death.receive_count == 1
        assert letter.death.source_queue.endswith("monthly-billing")
        assert letter.death.failed_at == scenario.wall()
    assert [event.customer for event in scenario.counted()] == ["cus_A"]
    assert [row["fact"] for row in scenario.rows("billing-ledger")] == [
        "storage-usage#cus_A#2026-10"
    ]
    assert len(scenario.rows("storage-usage-daily")) == 1


@pytest.mark.parametrize("queue", list(Queue))
def test_every_queue_dead_letters_to_its_own(scenario: Scenario, queue: Queue) -> None:
    scenario.send(queue, "no JSON")

    scenario.drain(queue)

    (letter,) = scenario.letters(queue)
    assert (letter.body, letter.error_type) == ("no JSON", "UnreadableMessage")
    assert scenario.waiting(queue) == 0


@pytest.mark.parametrize("character", ["x", "€"])
def test_the_largest_message_is_dead_lettered_whole(scenario: Scenario, character: str) -> None:
    frame = json.dumps({"kind": "none", "text": ""}, ensure_ascii=False)
    room = MOST_BYTES - len(frame)
    body = json.dumps(
        {"kind": "none", "text": character * (room // len(character.encode()))}, ensure_ascii=False
    )
    scenario.send(Queue.FILE_PROCESSED, body)

    scenario.drain(Queue.FILE_PROCESSED)

    (letter,) = scenario.letters(Queue.FILE_PROCESSED)
    assert letter.body == body
    assert "unknown kind 'none'" in letter.reason


def test_a_larger_message_is_refused_by_sqs(scenario: Scenario) -> None:
    with pytest.raises(ClientError):
        scenario.send(Queue.FILE_PROCESSED, "x" * (MOST_BYTES + 1))


def test_a_message_keeps_the_attributes_it_came_with(scenario: Scenario) -> None:
    sqs = scenario.stack.clients.sqs
    own: dict[str, MessageAttributeValueTypeDef] = {
        f"own{number}": {"DataType": "String", "StringValue": f"value {number}"}
        for number in range(9)
    }
    sqs.send_message(
        QueueUrl=scenario.stack.queue_url("schedule"),
        MessageBody="no JSON",
        MessageAttributes={**own, "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}},
    )

    scenario.drain(Queue.SCHEDULE)

    (message,) = sqs.receive_message(
        QueueUrl=scenario.stack.queue_url("schedule-dlq"), MessageAttributeNames=["All"]
    )["Messages"]
    attributes = message["MessageAttributes"]
    assert len(attributes) <= 10
    (letter,) = [json.loads(attributes["deadLetter"]["StringValue"])]
    assert "not JSON" in json.dumps(letter)
