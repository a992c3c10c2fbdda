"""What a standard queue does, on both engines.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parity.asking import code_of
from tests.simulation.sqs import MOST_RECEIPTS

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import (
        MessageTypeDef,
        SendMessageBatchRequestEntryTypeDef,
        SendMessageBatchResultTypeDef,
    )

    from tests.parity.sqs_engines import Sqs

MIB = 1024 * 1024


def send(sqs: Sqs, *bodies: str) -> list[str]:
    """Send; returns the ids."""
    ids = [
        sqs.client.send_message(QueueUrl=sqs.url, MessageBody=body)["MessageId"] for body in bodies
    ]
    sqs.arrive()
    return ids


def receive(
    sqs: Sqs, visibility: int = 30, most: int = 10, url: str | None = None
) -> list[MessageTypeDef]:
    answer = sqs.client.receive_message(
        QueueUrl=url or sqs.url,
        MaxNumberOfMessages=most,
        VisibilityTimeout=visibility,
        WaitTimeSeconds=0,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    )
    return answer.get("Messages", [])


def one(sqs: Sqs, visibility: int = 30) -> MessageTypeDef:
    (message,) = receive(sqs, visibility)
    return message


def counts(sqs: Sqs, url: str | None = None) -> list[int]:
    """Visible, in flight, delayed."""
    told = sqs.client.get_queue_attributes(
        QueueUrl=url or sqs.url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )["Attributes"]
    return [
        int(told["ApproximateNumberOfMessages"]),
        int(told["ApproximateNumberOfMessagesNotVisible"]),
        int(told["ApproximateNumberOfMessagesDelayed"]),
    ]


def entry(number: int, body: str) -> SendMessageBatchRequestEntryTypeDef:
    return {"Id": str(number), "MessageBody": body}


def send_batch(
    sqs: Sqs, *entries: SendMessageBatchRequestEntryTypeDef
) -> SendMessageBatchResultTypeDef:
    return sqs.client.send_message_batch(QueueUrl=sqs.url, Entries=entries)


# --- One message ------------------------------------------------------------------------------


def test_a_message_arrives_as_it_was_sent(sqs: Sqs) -> None:
    body = '{"key": "é\U0001f600"}\n'
    attributes = {"errorType": {"DataType": "String", "StringValue": "Refused"}}
    sent = sqs.client.send_message(
        QueueUrl=sqs.url,
        MessageBody=body,
        MessageAttributes=attributes,  # type: ignore[arg-type]  # the stub wants its own class
    )
    sqs.arrive()

    message = one(sqs)

    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], body)
    (attribute,) = message["MessageAttributes"].items()
    assert (attribute[0], attribute[1].get("StringValue")) == ("errorType", "Refused")
    told = message["Attributes"]
    assert told["ApproximateReceiveCount"] == "1"
    assert int(told["SentTimestamp"]) <= int(told["ApproximateFirstReceiveTimestamp"])


def test_a_received_message_is_hidden_until_its_time(sqs: Sqs) -> None:
    send(sqs, "m")
    first = one(sqs, visibility=1)
    assert receive(sqs) == []

    sqs.pass_time(1.1)

    second = one(sqs)
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    assert second["Attributes"] == first["Attributes"] | {"ApproximateReceiveCount": "2"}


def test_a_visibility_of_zero_gives_it_back_at_once(sqs: Sqs) -> None:
    send(sqs, "m")
    held = one(sqs)

    sqs.client.change_message_visibility(
        QueueUrl=sqs.url, ReceiptHandle=held["ReceiptHandle"], VisibilityTimeout=0
    )

    assert one(sqs)["MessageId"] == held["MessageId"]


def test_a_longer_visibility_keeps_it(sqs: Sqs) -> None:
    send(sqs, "m")
    held = one(sqs, visibility=1)

    sqs.client.change_message_visibility(
        QueueUrl=sqs.url, ReceiptHandle=held["ReceiptHandle"], VisibilityTimeout=60
    )
    sqs.pass_time(1.1)

    assert receive(sqs) == []


def test_what_is_visible_again_has_no_visibility_to_change(sqs: Sqs) -> None:
    send(sqs, "m")
    held = one(sqs, visibility=0)

    code = code_of(
        lambda: sqs.client.change_message_visibility(
            QueueUrl=sqs.url, ReceiptHandle=held["ReceiptHandle"], VisibilityTimeout=10
        )
    )

    assert code == "AWS.SimpleQueueService.MessageNotInflight"


def test_a_visibility_is_twelve_hours_at_most(sqs: Sqs) -> None:
    send(sqs, "m")
    handle = one(sqs)["ReceiptHandle"]

    code = code_of(
        lambda: sqs.client.change_message_visibility(
            QueueUrl=sqs.url, ReceiptHandle=handle, VisibilityTimeout=43_201
        )
    )

    assert code == "InvalidParameterValue"


def test_a_deleted_message_is_gone(sqs: Sqs) -> None:
    send(sqs, "m")
    handle = one(sqs, visibility=0)["ReceiptHandle"]

    for _ in range(2):
        sqs.client.delete_message(QueueUrl=sqs.url, ReceiptHandle=handle)

    assert receive(sqs) == []
    assert counts(sqs) == [0, 0, 0]


def test_a_stale_receipt_deletes_without_an_error(sqs: Sqs) -> None:
    send(sqs, "m")
    stale = one(sqs, visibility=0)["ReceiptHandle"]
    fresh = one(sqs)["ReceiptHandle"]

    # Whether the message is then gone, SQS leaves open.
    sqs.client.delete_message(QueueUrl=sqs.url, ReceiptHandle=stale)
    sqs.client.delete_message(QueueUrl=sqs.url, ReceiptHandle=fresh)

    assert counts(sqs) == [0, 0, 0]


def test_a_receipt_that_never_was_is_refused(sqs: Sqs) -> None:
    code = code_of(
        lambda: sqs.client.delete_message(QueueUrl=sqs.url, ReceiptHandle="no such handle")
    )

    assert code == "ReceiptHandleIsInvalid"


def test_a_delayed_message_is_hidden_and_counted(sqs: Sqs) -> None:
    sqs.client.send_message(QueueUrl=sqs.url, MessageBody="m", DelaySeconds=2)
    assert receive(sqs) == []
    assert counts(sqs) == [0, 0, 1]

    sqs.pass_time(2.1)
    sqs.arrive()

    assert one(sqs)["Attributes"]["ApproximateReceiveCount"] == "1"


def test_counts(sqs: Sqs) -> None:
    send(sqs, "a", "b", "c")

    receive(sqs, most=1)

    assert counts(sqs) == [2, 1, 0]


def test_a_queue_that_is_not_there(sqs: Sqs) -> None:
    code = code_of(lambda: sqs.client.get_queue_url(QueueName="nowhere"))

    assert code == "AWS.SimpleQueueService.NonExistentQueue"


# --- Redrive ----------------------------------------------------------------------------------


def test_a_message_received_too_often_is_moved_as_it_is(sqs: Sqs) -> None:
    (sent,) = send(sqs, "m")
    for number in range(1, MOST_RECEIPTS + 1):
        assert one(sqs, visibility=0)["Attributes"]["ApproximateReceiveCount"] == str(number)

    assert receive(sqs, visibility=0) == []

    assert counts(sqs) == [0, 0, 0]
    (letter,) = receive(sqs, url=sqs.dead_url)
    assert (letter["MessageId"], letter["Body"]) == (sent, "m")


def test_a_moved_message_keeps_the_time_it_was_sent(sqs: Sqs) -> None:
    send(sqs, "m")
    sent_at = [one(sqs, visibility=0)["Attributes"]["SentTimestamp"] for _ in range(MOST_RECEIPTS)]
    assert receive(sqs) == []

    (letter,) = receive(sqs, url=sqs.dead_url)

    assert letter["Attributes"]["SentTimestamp"] == sent_at[0]


# --- Batches ----------------------------------------------------------------------------------


def test_a_batch_of_ten(sqs: Sqs) -> None:
    answer = send_batch(sqs, *(entry(number, f"m{number}") for number in range(10)))
    sqs.arrive()

    assert sorted(sent["Id"] for sent in answer["Successful"]) == [str(n) for n in range(10)]
    assert not answer.get("Failed")
    held: list[MessageTypeDef] = []
    while more := receive(sqs):
        held += more
    assert sorted(message["Body"] for message in held) == [f"m{number}" for number in range(10)]
    gone = sqs.client.delete_message_batch(
        QueueUrl=sqs.url,
        Entries=[
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(held)
        ],
    )
    assert not gone.get("Failed")
    assert counts(sqs) == [0, 0, 0]


def test_a_sent_batch_tells_the_messages_ids(sqs: Sqs) -> None:
    answer = send_batch(sqs, {"Id": "0", "MessageBody": "m"})
    sqs.arrive()

    assert answer["Successful"][0]["MessageId"] == one(sqs)["MessageId"]


def test_a_deleted_batch_tells_what_is_gone(sqs: Sqs) -> None:
    send(sqs, "m")

    answer = sqs.client.delete_message_batch(
        QueueUrl=sqs.url,
        Entries=[
            {"Id": "good", "ReceiptHandle": one(sqs)["ReceiptHandle"]},
            {"Id": "bad", "ReceiptHandle": "no such handle"},
        ],
    )

    assert [done["Id"] for done in answer["Successful"]] == ["good"]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == (
        "bad",
        "ReceiptHandleIsInvalid",
        True,
    )


def test_a_batch_has_ten_entries_at_most(sqs: Sqs) -> None:
    code = code_of(lambda: send_batch(sqs, *(entry(number, "m") for number in range(11))))

    assert code == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
    assert counts(sqs) == [0, 0, 0]


def test_a_batch_has_an_entry_at_least(sqs: Sqs) -> None:
    code = code_of(lambda: send_batch(sqs))

    assert code == "AWS.SimpleQueueService.EmptyBatchRequest"


def test_the_entries_of_a_batch_have_ids_of_their_own(sqs: Sqs) -> None:
    code = code_of(
        lambda: send_batch(sqs, {"Id": "0", "MessageBody": "m"}, {"Id": "0", "MessageBody": "n"})
    )

    assert code == "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"


def test_one_entry_may_fail_alone(sqs: Sqs) -> None:
    answer = send_batch(
        sqs,
        {"Id": "good", "MessageBody": "m"},
        {"Id": "late", "MessageBody": "n", "DelaySeconds": 901},
    )
    sqs.arrive()

    assert [sent["Id"] for sent in answer["Successful"]] == ["good"]
    assert [(each["Id"], each["SenderFault"]) for each in answer["Failed"]] == [("late", True)]
    assert one(sqs)["Body"] == "m"


# --- Limits -----------------------------------------------------------------------------------


def test_a_message_of_a_mebibyte_is_the_largest(sqs: Sqs) -> None:
    send(sqs, "x" * MIB)

    assert len(one(sqs)["Body"]) == MIB
    code = code_of(lambda: send(sqs, "x" * (MIB + 1)))
    assert code in {"InvalidParameterValue", "InvalidMessageContents"}


def test_a_batch_of_a_mebibyte_is_the_largest(sqs: Sqs) -> None:
    half = "x" * (MIB // 2 + 1)

    code = code_of(
        lambda: send_batch(sqs, {"Id": "0", "MessageBody": half}, {"Id": "1", "MessageBody": half})
    )

    assert code == "AWS.SimpleQueueService.BatchRequestTooLong"


@pytest.mark.parametrize(("most", "refused"), [(10, False), (11, True)])
def test_a_message_has_ten_attributes_at_most(sqs: Sqs, most: int, *, refused: bool) -> None:
    attributes = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(most)}

    code = code_of(
        lambda: sqs.client.send_message(
            QueueUrl=sqs.url,
            MessageBody="m",
            MessageAttributes=attributes,  # type: ignore[arg-type]  # the stub wants its own class
        )
    )

    assert code == ("InvalidParameterValue" if refused else None)


def test_a_delay_is_fifteen_minutes_at_most(sqs: Sqs) -> None:
    code = code_of(
        lambda: sqs.client.send_message(QueueUrl=sqs.url, MessageBody="m", DelaySeconds=901)
    )

    assert code == "InvalidParameterValue"


def test_an_empty_body_is_refused(sqs: Sqs) -> None:
    assert code_of(lambda: send(sqs, "")) is not None


def test_a_receipt_takes_ten_messages_at_most(sqs: Sqs) -> None:
    assert code_of(lambda: receive(sqs, most=11)) is not None
