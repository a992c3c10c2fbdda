"""SQS: standard queues in memory.

Shapes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.stand_in.answer import Answer, as_json, fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MOST = 10


@dataclass(slots=True)
class Held:
    """A message: its text, and how often it was received."""

    id: str
    body: str
    md5: str
    attributes: dict[str, Any]
    attributes_md5: str | None
    receipts: int = 0


@dataclass(slots=True)
class HeldQueue:
    """What a queue holds."""

    name: str
    visible: deque[Held] = field(default_factory=deque)
    in_flight: dict[str, Held] = field(default_factory=dict)
    deleted: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Queues:
    """All queues; one is there as soon as it is named.

    Args:
        url: where this server listens.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = itertools.count(1)
        self.by_name: dict[str, HeldQueue] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "GetQueueUrl": lambda asked: as_json({"QueueUrl": self._name_url(asked["QueueName"])}),
            "CreateQueue": lambda asked: as_json({"QueueUrl": self._name_url(asked["QueueName"])}),
            "ListQueues": self._list,
            "GetQueueAttributes": self._attributes,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "ChangeMessageVisibility": self._change,
            "ChangeMessageVisibilityBatch": self._change_batch,
        }

    def queue(self, name: str) -> HeldQueue:
        """A queue by its name or URL."""
        name = name.rsplit("/", 1)[-1]
        if name not in self.by_name:
            self.by_name[name] = HeldQueue(name)
        return self.by_name[name]

    def answer(self, operation: str, asked: dict[str, Any]) -> Answer | Awaitable[Answer]:
        """Do what is asked; a receipt of an empty queue waits."""
        if operation == "ReceiveMessage":
            queue = self.queue(asked["QueueUrl"])
            if queue.visible or not asked.get("WaitTimeSeconds"):
                return self._receive(queue, asked)
            return self._wait(queue, asked)
        found = self._operations.get(operation)
        if found is None:
            return fault("InvalidAction", f"the stand-in has no {operation}")
        return found(asked)

    def fill(self, name: str, bodies: list[str]) -> None:
        """Put messages on a queue."""
        queue = self.queue(name)
        for body in bodies:
            self._put(queue, {"MessageBody": body})

    def copy(self, name: str, times: int) -> None:
        """Repeat the messages that a queue holds, that many times."""
        queue = self.queue(name)
        for held in list(queue.visible) * times:
            queue.visible.append(
                Held(
                    str(next(self._ids)), held.body, held.md5, held.attributes, held.attributes_md5
                )
            )
        queue.arrived.set()

    async def _wait(self, queue: HeldQueue, asked: dict[str, Any]) -> Answer:
        queue.arrived.clear()
        try:
            async with asyncio.timeout(float(asked["WaitTimeSeconds"])):
                await queue.arrived.wait()
        except TimeoutError:
            pass
        return self._receive(queue, asked)

    def _receive(self, queue: HeldQueue, asked: dict[str, Any]) -> Answer:
        messages = []
        for _ in range(min(int(asked.get("MaxNumberOfMessages", 1)), _MOST, len(queue.visible))):
            held = queue.visible.popleft()
            held.receipts += 1
            receipt = f"{held.id}.{held.receipts}"
            queue.in_flight[receipt] = held
            message: dict[str, Any] = {
                "MessageId": held.id,
                "ReceiptHandle": receipt,
                "MD5OfBody": held.md5,
                "Body": held.body,
                "Attributes": {
                    "ApproximateReceiveCount": str(held.receipts),
                    "ApproximateFirstReceiveTimestamp": "1790000000000",
                    "SentTimestamp": "1790000000000",
                },
            }
            if held.attributes:
                message["MessageAttributes"] = held.attributes
                if held.attributes_md5 is not None:
                    message["MD5OfMessageAttributes"] = held.attributes_md5
            messages.append(message)
        return as_json({"Messages": messages} if messages else {})

    def _put(self, queue: HeldQueue, entry: dict[str, Any]) -> dict[str, Any]:
        body = entry["MessageBody"]
        held = Held(
            str(next(self._ids)),
            body,
            hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
            entry.get("MessageAttributes") or {},
            None,
        )
        queue.visible.append(held)
        queue.arrived.set()
        return {"MessageId": held.id, "MD5OfMessageBody": held.md5}

    def _send(self, asked: dict[str, Any]) -> Answer:
        return as_json(self._put(self.queue(asked["QueueUrl"]), asked))

    def _send_batch(self, asked: dict[str, Any]) -> Answer:
        queue = self.queue(asked["QueueUrl"])
        sent = [{"Id": entry["Id"], **self._put(queue, entry)} for entry in asked["Entries"]]
        return as_json({"Successful": sent, "Failed": []})

    def _delete(self, asked: dict[str, Any]) -> Answer:
        self._drop(self.queue(asked["QueueUrl"]), asked["ReceiptHandle"])
        return as_json({})

    def _delete_batch(self, asked: dict[str, Any]) -> Answer:
        queue = self.queue(asked["QueueUrl"])
        for entry in asked["Entries"]:
            self._drop(queue, entry["ReceiptHandle"])
        return _all_done(asked)

    def _drop(self, queue: HeldQueue, receipt: str) -> None:
        if queue.in_flight.pop(receipt, None) is not None:
            queue.deleted += 1

    def _change(self, asked: dict[str, Any]) -> Answer:
        self._hide(
            self.queue(asked["QueueUrl"]), asked["ReceiptHandle"], asked["VisibilityTimeout"]
        )
        return as_json({})

    def _change_batch(self, asked: dict[str, Any]) -> Answer:
        queue = self.queue(asked["QueueUrl"])
        for entry in asked["Entries"]:
            self._hide(queue, entry["ReceiptHandle"], entry["VisibilityTimeout"])
        return _all_done(asked)

    def _hide(self, queue: HeldQueue, receipt: str, seconds: float) -> None:
        """Show a message again at once; one hidden for longer stays in flight."""
        held = queue.in_flight.get(receipt)
        if held is not None and float(seconds) == 0:
            del queue.in_flight[receipt]
            queue.visible.append(held)
            queue.arrived.set()

    def _attributes(self, asked: dict[str, Any]) -> Answer:
        queue = self.queue(asked["QueueUrl"])
        return as_json(
            {
                "Attributes": {
                    "QueueArn": f"arn:aws:sqs:us-east-1:000000000000:{queue.name}",
                    "VisibilityTimeout": "60",
                    "ApproximateNumberOfMessages": str(len(queue.visible)),
                    "ApproximateNumberOfMessagesNotVisible": str(len(queue.in_flight)),
                    "ApproximateNumberOfMessagesDelayed": "0",
                }
            }
        )

    def _list(self, asked: dict[str, Any]) -> Answer:
        begin = asked.get("QueueNamePrefix", "")
        urls = [self._name_url(name) for name in self.by_name if name.startswith(begin)]
        return as_json({"QueueUrls": urls})

    def _name_url(self, name: str) -> str:
        self.queue(name)
        return f"{self._url}/000000000000/{name}"


def _all_done(asked: dict[str, Any]) -> Answer:
    return as_json({"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]]})
