# ruff: noqa: N803 - the methods take the names that AWS gives them
"""SQS's low-level client, as far as the product uses it.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tests.simulation.sqs_limits import (
    INVALID,
    LONGEST_VISIBILITY,
    check_batch,
    check_most,
    refusal,
    why_not_sent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.process import Process
    from tests.simulation.sqs import SQS, SimulatedQueue

_URL = "https://sqs.invalid/000000000000/"


class SQSClient:
    """The low-level client's methods that the product uses.

    Args:
        sqs: the queues.
        process: whose client it is.
    """

    def __init__(self, sqs: SQS, process: Process) -> None:
        self._sqs = sqs
        self._process = process

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:
        """`GetQueueUrl`."""

        def effect() -> dict[str, str]:
            if QueueName not in self._sqs.queues:
                code = "AWS.SimpleQueueService.NonExistentQueue"
                raise ClientError({"Error": {"Code": code, "Message": QueueName}}, "GetQueueUrl")
            return {"QueueUrl": _URL + QueueName}

        return self._process.call("sqs", f"get_queue_url {QueueName}", effect)

    def get_queue_attributes(
        self, *, QueueUrl: str, AttributeNames: Sequence[str]
    ) -> dict[str, dict[str, object]]:
        """`GetQueueAttributes`: the three counts and the name; SQS's own time comes with it."""
        queue = self._queue(QueueUrl)

        def effect() -> dict[str, dict[str, object]]:
            now = self._sqs.scheduler.now
            visible, delayed = queue.visible(now), queue.delayed(now)
            counts = {
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(
                    len(queue.messages) - visible - delayed
                ),
                "ApproximateNumberOfMessagesDelayed": str(delayed),
                "QueueArn": f"arn:aws:sqs:ap-northeast-1:000000000000:{queue.name}",
            }
            return {
                "Attributes": {name: counts[name] for name in AttributeNames},
                "ResponseMetadata": {"HTTPHeaders": {"date": formatdate(now, usegmt=True)}},
            }

        what = f"get_queue_attributes {queue.name}"
        return self._process.call("sqs", what, effect)

    def receive_message(
        self,
        *,
        QueueUrl: str,
        MaxNumberOfMessages: int,
        VisibilityTimeout: int,
        **_: object,
    ) -> dict[str, list[dict[str, object]]]:
        """`ReceiveMessage`."""
        queue = self._queue(QueueUrl)

        def effect() -> dict[str, list[dict[str, object]]]:
            check_most(MaxNumberOfMessages)
            taken = self._sqs.receive(queue, MaxNumberOfMessages, VisibilityTimeout)
            if not taken:
                return {}
            return {
                "Messages": [
                    {
                        "MessageId": message.id,
                        "ReceiptHandle": message.handle,
                        "Body": message.body,
                        "MessageAttributes": message.attributes,
                        "Attributes": {
                            "ApproximateReceiveCount": str(message.receipts),
                            "ApproximateFirstReceiveTimestamp": str(
                                int((message.first_received_at or 0.0) * 1000)
                            ),
                            "SentTimestamp": str(int(message.sent_at * 1000)),
                        },
                    }
                    for message in taken
                ]
            }

        return self._process.call("sqs", f"receive_message {queue.name}", effect)

    def send_message(
        self,
        *,
        QueueUrl: str,
        MessageBody: str,
        MessageAttributes: Mapping[str, dict[str, str]] | None = None,
        DelaySeconds: int = 0,
    ) -> dict[str, str]:
        """`SendMessage`."""
        queue = self._queue(QueueUrl)

        def effect() -> dict[str, str]:
            code = why_not_sent(MessageBody, MessageAttributes or {}, DelaySeconds)
            if code is not None:
                raise refusal(code)
            sent = self._sqs.send(queue.name, MessageBody, MessageAttributes or {}, DelaySeconds)
            return {"MessageId": sent}

        return self._process.call("sqs", f"send_message {queue.name} {MessageBody}", effect)

    def send_message_batch(
        self, *, QueueUrl: str, Entries: Sequence[Mapping[str, object]]
    ) -> dict[str, list[dict[str, object]]]:
        """`SendMessageBatch`; some of a batch may fail."""
        queue = self._queue(QueueUrl)

        def effect() -> dict[str, list[dict[str, object]]]:
            check_batch(Entries)
            done: list[dict[str, object]] = []
            failed: list[dict[str, object]] = []
            for entry in Entries:
                if self._fails():
                    failed.append(
                        {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                    )
                    continue
                body, attributes = str(entry["MessageBody"]), _attributes(entry)
                delay = entry.get("DelaySeconds", 0)
                assert isinstance(delay, int)
                code = why_not_sent(body, attributes, delay)
                if code is not None:
                    failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code})
                    continue
                sent = self._sqs.send(queue.name, body, attributes, delay)
                done.append({"Id": entry["Id"], "MessageId": sent})
            return {"Successful": done} | ({"Failed": failed} if failed else {})

        bodies = " ".join(str(entry["MessageBody"]) for entry in Entries[:2])
        return self._process.call(
            "sqs", f"send_message_batch {queue.name} {len(Entries)} {bodies}", effect
        )

    def delete_message_batch(
        self, *, QueueUrl: str, Entries: Sequence[Mapping[str, str]]
    ) -> dict[str, list[dict[str, object]]]:
        """`DeleteMessageBatch`; some of a batch may fail."""
        queue = self._queue(QueueUrl)

        def effect() -> dict[str, list[dict[str, object]]]:
            check_batch(Entries)
            done: list[dict[str, object]] = []
            failed: list[dict[str, object]] = []
            for entry in Entries:
                if self._fails():
                    failed.append(
                        {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                    )
                    continue
                try:
                    self._sqs.delete(queue, entry["ReceiptHandle"])
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code})
                    continue
                done.append({"Id": entry["Id"]})
            return {"Successful": done, "Failed": failed}

        handles = " ".join(entry["ReceiptHandle"] for entry in Entries)
        return self._process.call("sqs", f"delete_message_batch {queue.name} {handles}", effect)

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        """`DeleteMessage`."""
        queue = self._queue(QueueUrl)
        self._process.call(
            "sqs",
            f"delete_message {queue.name} {ReceiptHandle}",
            lambda: self._sqs.delete(queue, ReceiptHandle),
        )

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> None:
        """`ChangeMessageVisibility`."""
        queue = self._queue(QueueUrl)

        def effect() -> None:
            if not 0 <= VisibilityTimeout <= LONGEST_VISIBILITY:
                raise refusal(INVALID)
            if not self._sqs.set_visibility(queue, ReceiptHandle, VisibilityTimeout):
                raise refusal("AWS.SimpleQueueService.MessageNotInflight")

        self._process.call(
            "sqs",
            f"change_message_visibility {queue.name} {ReceiptHandle} {VisibilityTimeout}",
            effect,
        )

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: Sequence[Mapping[str, object]]
    ) -> dict[str, list[dict[str, object]]]:
        """`ChangeMessageVisibilityBatch`; some of a batch may fail."""
        queue = self._queue(QueueUrl)

        def effect() -> dict[str, list[dict[str, object]]]:
            done: list[dict[str, object]] = []
            failed: list[dict[str, object]] = []
            for entry in Entries:
                seconds = entry["VisibilityTimeout"]
                assert isinstance(seconds, int)
                lost = self._process.weather.lost_renewal
                if self._process.faults.strike("lost_renewal", lost):
                    failed.append(
                        {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                    )
                elif self._sqs.set_visibility(queue, str(entry["ReceiptHandle"]), seconds):
                    done.append({"Id": entry["Id"]})
                else:
                    code = "MessageNotInflight"
                    failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code})
            return {"Successful": done, "Failed": failed}

        what = f"change_message_visibility_batch {queue.name} {len(Entries)}"
        return self._process.call("sqs", what, effect)

    def _queue(self, url: str) -> SimulatedQueue:
        return self._sqs.queues[url.removeprefix(_URL)]

    def _fails(self) -> bool:
        process = self._process
        return process.faults.strike("throttled", process.weather.throttled)


def _attributes(entry: Mapping[str, object]) -> dict[str, dict[str, str]]:
    found = entry.get("MessageAttributes") or {}
    assert isinstance(found, dict)
    return found
