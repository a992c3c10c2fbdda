# ruff: noqa: N803 - the methods take the names that AWS gives them
"""SQS standard queues: at least once, in no order.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tests.simulation.sqs_limits import (
    INVALID,
    LONGEST_VISIBILITY,
    check_batch,
    check_handle,
    check_most,
    refusal,
    why_not_sent,
)
from tests.simulation.weather import DAY

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.process import Process
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather

RETENTION = 14 * DAY
MOST_RECEIPTS = 20
_URL = "https://sqs.invalid/000000000000/"


@dataclass(slots=True)
class Stored:
    """A message on a queue. Times are epoch seconds."""

    id: str
    body: str
    attributes: dict[str, dict[str, str]]
    sent_at: float
    visible_at: float
    first_received_at: float | None = None
    receipts: int = 0
    handle: str = ""


class SimulatedQueue:
    """One queue.

    Args:
        name: its full name.
        redrive: where a message goes that was received too often.
    """

    def __init__(self, name: str, redrive: SimulatedQueue | None = None) -> None:
        self.name = name
        self.redrive = redrive
        self.messages: dict[str, Stored] = {}
        self.expired = 0

    def visible(self, now: float) -> int:
        """How many messages can be received now."""
        return sum(message.visible_at <= now for message in self.messages.values())

    def delayed(self, now: float) -> int:
        """How many could not be received yet."""
        return sum(
            message.receipts == 0 and message.visible_at > now for message in self.messages.values()
        )

    def filled(self, now: float) -> bool:
        """Whether one can be."""
        return any(message.visible_at <= now for message in self.messages.values())


class SQS:
    """All queues, and who waits for a message.

    Args:
        names: the queues' full names, without dead-letter queues.
        scheduler: time.
        rng: chance.
        weather: what goes wrong.
    """

    def __init__(
        self, names: Sequence[str], scheduler: Scheduler, rng: random.Random, weather: Weather
    ) -> None:
        self.scheduler = scheduler
        self.rng = rng
        self.weather = weather
        self.queues: dict[str, SimulatedQueue] = {}
        self.redriven: Counter[str] = Counter()
        self._waiting: list[Callable[[], object]] = []
        self._count = 0
        for name in names:
            letters = SimulatedQueue(f"{name}-dlq")
            self.queues[letters.name] = letters
            self.queues[name] = SimulatedQueue(name, letters)

    def send(
        self, queue: str, body: str, attributes: Mapping[str, dict[str, str]], delay: float = 0.0
    ) -> str:
        """Put a message on a queue; returns its id."""
        self._count += 1
        now = self.scheduler.now
        # Usually visible at once, sometimes a moment later.
        late = self.rng.random() ** 4
        message = Stored(
            id=f"m{self._count}",
            body=body,
            attributes=dict(attributes),
            sent_at=now,
            visible_at=now + delay + late,
        )
        self.queues[queue].messages[message.id] = message
        self._announce(self.queues[queue], message)
        return message.id

    def receive(self, queue: SimulatedQueue, most: int, visibility: float) -> list[Stored]:
        """Take up to so many messages."""
        now, rng, weather = self.scheduler.now, self.rng, self.weather
        found = []
        for message in list(queue.messages.values()):
            if now - message.sent_at > RETENTION:
                del queue.messages[message.id]
                queue.expired += 1
            elif message.visible_at <= now or (
                weather.duplicate_receipt and rng.random() < weather.duplicate_receipt / 10
            ):
                found.append(message)
        rng.shuffle(found)
        taken = []
        for message in found[:most]:
            if message.receipts >= MOST_RECEIPTS and queue.redrive is not None:
                self._redrive(queue, queue.redrive, message)
                continue
            message.receipts += 1
            if message.first_received_at is None:
                message.first_received_at = now
            message.handle = f"{message.id}:{message.receipts}"
            message.visible_at = now + visibility
            self._announce(queue, message)
            taken.append(message)
        if weather.duplicate_receipt and taken and rng.random() < weather.duplicate_receipt:
            # Another server has a copy and does not know yet: it is received twice at once.
            taken[-1].visible_at = now + rng.random()
            self._announce(queue, taken[-1])
        return taken

    def delete(self, queue: SimulatedQueue, handle: str) -> None:
        """Delete a message; one whose server was away comes back."""
        check_handle(handle)
        identity = handle.split(":", maxsplit=1)[0]
        message = queue.messages.get(identity)
        if message is None:
            return
        if message.handle != handle and self.rng.random() < 0.5:
            return
        if self.rng.random() < self.weather.undone_deletion:
            message.visible_at = self.scheduler.now + 3600 * self.rng.random() ** 2
            self._announce(queue, message)
            return
        del queue.messages[identity]

    def set_visibility(self, queue: SimulatedQueue, handle: str, seconds: float) -> bool:
        """Change when a message is visible again; False where the receipt is out of date."""
        message = queue.messages.get(handle.split(":", maxsplit=1)[0])
        now = self.scheduler.now
        if message is None or message.visible_at <= now:
            return False
        if message.handle != handle and self.rng.random() < 0.5:
            return False
        message.visible_at = now + seconds
        self._announce(queue, message)
        return True

    def wait(self, wake: Callable[[], object]) -> None:
        """Have somebody woken when a message may be visible."""
        self._waiting.append(wake)

    def wake_all(self) -> None:
        """Wake whoever waits."""
        waiting, self._waiting = self._waiting, []
        now = self.scheduler.now
        for wake in waiting:
            self.scheduler.at(now + 0.5 * self.rng.random() ** 2, wake)

    def _announce(self, queue: SimulatedQueue, message: Stored) -> None:
        """Wake whoever waits once a message is visible, if it then is."""

        def look() -> None:
            visible = message.visible_at <= self.scheduler.now
            if self._waiting and visible and message.id in queue.messages:
                self.wake_all()

        self.scheduler.at(message.visible_at, look)

    def _redrive(self, source: SimulatedQueue, target: SimulatedQueue, message: Stored) -> None:
        del source.messages[message.id]
        message.visible_at, message.receipts = self.scheduler.now, 0
        target.messages[message.id] = message
        self.redriven[source.name] += 1


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
    ) -> dict[str, dict[str, str]]:
        """`GetQueueAttributes`: the three counts."""
        queue = self._queue(QueueUrl)

        def effect() -> dict[str, dict[str, str]]:
            now = self._sqs.scheduler.now
            visible, delayed = queue.visible(now), queue.delayed(now)
            counts = {
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(
                    len(queue.messages) - visible - delayed
                ),
                "ApproximateNumberOfMessagesDelayed": str(delayed),
            }
            return {"Attributes": {name: counts[name] for name in AttributeNames}}

        return self._process.call("sqs", f"get_queue_attributes {queue.name}", effect)

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
            return {"Successful": done} | ({"Failed": failed} if failed else {})

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

    def _queue(self, url: str) -> SimulatedQueue:
        return self._sqs.queues[url.removeprefix(_URL)]

    def _fails(self) -> bool:
        chance = self._process.weather.throttled
        return chance > 0 and self._process.rng.random() < chance


def _attributes(entry: Mapping[str, object]) -> dict[str, dict[str, str]]:
    found = entry.get("MessageAttributes") or {}
    assert isinstance(found, dict)
    return found
