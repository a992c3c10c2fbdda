"""Queues on a clock that is set: no thread, no waiting, each rule of SQS that a consumer meets."""

# ruff: noqa: N803 - boto3's own argument names

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from producers.queues import Queue, QueueDirectory
from worker.consumer.backoff import Backoff
from worker.consumer.deletions import Deletions
from worker.consumer.handling import Handling
from worker.consumer.leases import Leases
from worker.consumer.receiving import Receiving
from worker.consumer.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

    from worker.clock import Clock
    from worker.consumer.dispatch import Dispatch
    from worker.consumer.leases import HeldLease
    from worker.consumer.received import ReceivedMessage
    from worker.outcome import Outcome

START = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)
TWELVE_HOURS = 43_200
MOST_RECEIPTS = 20


class SetClock:
    """A clock that goes on only when told to."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self.passed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


@dataclass
class Stored:
    """A message on a queue."""

    id: str
    body: str
    attributes: Mapping[str, MessageAttributeValueTypeDef]
    visible_at: float
    receipts: int = 0
    first_received_at: float | None = None
    received_at: float = 0.0
    handle: str = ""


class QueueWorld:
    """The queues of an installation: the part of boto3's client that the consumer calls.

    Args:
        clock: the time.

    ``before`` may hold, by the name of a method, what is to happen before it takes effect: raise,
    or let time pass.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.queues: dict[str, list[Stored]] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self.calls: list[str] = []
        self.most_receipts = 0
        self._made = 0

    @property
    def client(self) -> SQSClient:
        return cast("SQSClient", self)

    def put(self, queue: str, *bodies: str) -> None:
        for body in bodies:
            self._send(queue, body, {}, 0)

    def waiting(self, queue: str) -> list[Stored]:
        """All messages of a queue, visible or not."""
        return self.queues.get(queue, [])

    def visible(self, queue: str) -> list[str]:
        now = self.clock.monotonic()
        return [stored.body for stored in self.waiting(queue) if stored.visible_at <= now]

    # --- boto3's methods ----------------------------------------------------------------------

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:
        return {"QueueUrl": QueueName}

    def receive_message(
        self, *, QueueUrl: str, MaxNumberOfMessages: int, VisibilityTimeout: int, **_: object
    ) -> dict[str, list[dict[str, object]]]:
        self._begin("receive_message")
        now = self.clock.monotonic()
        found: list[Stored] = []
        for stored in list(self.waiting(QueueUrl)):
            if stored.visible_at > now or len(found) == MaxNumberOfMessages:
                continue
            if stored.receipts >= MOST_RECEIPTS:
                self.queues[QueueUrl].remove(stored)
                self.queues.setdefault(f"{QueueUrl}-dlq", []).append(stored)
                continue
            stored.receipts += 1
            self.most_receipts = max(self.most_receipts, stored.receipts)
            stored.received_at = now
            if stored.first_received_at is None:
                stored.first_received_at = self.clock.now().timestamp()
            stored.handle = f"{stored.id}/{stored.receipts}"
            stored.visible_at = now + VisibilityTimeout
            found.append(stored)
        if not found:
            return {}
        return {
            "Messages": [
                {
                    "MessageId": stored.id,
                    "ReceiptHandle": stored.handle,
                    "Body": stored.body,
                    "MessageAttributes": dict(stored.attributes),
                    "Attributes": {
                        "ApproximateReceiveCount": str(stored.receipts),
                        "ApproximateFirstReceiveTimestamp": str(
                            int((stored.first_received_at or 0) * 1000)
                        ),
                    },
                }
                for stored in found
            ]
        }

    def send_message(
        self,
        *,
        QueueUrl: str,
        MessageBody: str,
        MessageAttributes: Mapping[str, MessageAttributeValueTypeDef] | None = None,
        DelaySeconds: int = 0,
    ) -> dict[str, str]:
        self._begin("send_message")
        return {
            "MessageId": self._send(QueueUrl, MessageBody, MessageAttributes or {}, DelaySeconds)
        }

    def send_message_batch(
        self, *, QueueUrl: str, Entries: Sequence[Mapping[str, object]]
    ) -> dict[str, list[dict[str, object]]]:
        self._begin("send_message_batch")
        for entry in Entries:
            self._send(QueueUrl, str(entry["MessageBody"]), {}, 0)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def delete_message_batch(
        self, *, QueueUrl: str, Entries: Sequence[Mapping[str, str]]
    ) -> dict[str, list[dict[str, object]]]:
        self._begin("delete_message_batch")
        for entry in Entries:
            stored = self._find(QueueUrl, entry["ReceiptHandle"])
            if stored is not None:
                self.queues[QueueUrl].remove(stored)
        return {}

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> None:
        self._begin("change_message_visibility")
        code = self._change(QueueUrl, ReceiptHandle, VisibilityTimeout)
        if code is not None:
            raise ClientError({"Error": {"Code": code, "Message": code}}, "ChangeMessageVisibility")

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: Sequence[Mapping[str, object]]
    ) -> dict[str, list[dict[str, object]]]:
        self._begin("change_message_visibility_batch")
        done: list[dict[str, object]] = []
        failed: list[dict[str, object]] = []
        for entry in Entries:
            seconds = entry["VisibilityTimeout"]
            assert isinstance(seconds, int)
            code = self._change(QueueUrl, str(entry["ReceiptHandle"]), seconds)
            if code is None:
                done.append({"Id": entry["Id"]})
            else:
                failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code})
        return {"Successful": done, "Failed": failed}

    def _begin(self, method: str) -> None:
        self.calls.append(method)
        if method in self.before:
            self.before[method]()

    def _send(
        self,
        queue: str,
        body: str,
        attributes: Mapping[str, MessageAttributeValueTypeDef],
        delay: int,
    ) -> str:
        self._made += 1
        made = Stored(f"m{self._made}", body, attributes, self.clock.monotonic() + delay)
        self.queues.setdefault(queue, []).append(made)
        return made.id

    def _find(self, queue: str, handle: str) -> Stored | None:
        return next((each for each in self.waiting(queue) if each.handle == handle), None)

    def _change(self, queue: str, handle: str, seconds: int) -> str | None:
        stored, now = self._find(queue, handle), self.clock.monotonic()
        if stored is None or stored.visible_at <= now:
            return "MessageNotInflight"
        if now + seconds > stored.received_at + TWELVE_HOURS:
            return "InvalidParameterValue"
        stored.visible_at = now + seconds
        return None


@dataclass
class Told:
    """A dispatch that does what the test says."""

    act: Callable[[ReceivedMessage], Outcome]
    handled: list[ReceivedMessage] = field(default_factory=list)

    def handle(self, received: ReceivedMessage) -> Outcome:
        self.handled.append(received)
        return self.act(received)


class Bench:
    """The consumer's parts on one thread: a test receives, handles and renews when it wants to.

    Args:
        world: the queues.
        dispatch: the product's, or a :class:`Told`.
        queues: where the queues are; by default under their short names.
        visibility_seconds: a lease's length.
        chance: what the back-off draws.
    """

    def __init__(
        self,
        world: QueueWorld,
        dispatch: Told | Dispatch,
        *,
        queues: QueueDirectory | None = None,
        visibility_seconds: int = 60,
        chance: float = 1.0,
    ) -> None:
        self.world = world
        self.queues = queues or QueueDirectory(world.client, "")
        self.leases = Leases(world.client, self.queues, world.clock, visibility_seconds)
        self.deletions = Deletions(world.client, self.queues, world.clock)
        self.settling = Settling(
            sqs=world.client,
            queues=self.queues,
            deletions=self.deletions,
            backoff=Backoff(lambda: chance),
            clock=world.clock,
        )
        self.handling = Handling(
            dispatch=cast("Dispatch", dispatch),
            settling=self.settling,
            leases=self.leases,
            clock=world.clock,
        )
        self._receiving = {
            queue: Receiving(
                queue=queue,
                sqs=world.client,
                queues=self.queues,
                clock=world.clock,
                visibility_seconds=visibility_seconds,
                wait_seconds=0,
            )
            for queue in Queue
        }

    def receive(self, queue: Queue, most: int = 1) -> list[tuple[ReceivedMessage, HeldLease]]:
        messages, received_at = self._receiving[queue].receive(most)
        return [(message, self.handling.begin(message, received_at)) for message in messages]

    def turn(self, queue: Queue, most: int = 10) -> int:
        """Receive, handle and settle; how many it were."""
        taken = self.receive(queue, most)
        for message, lease in taken:
            self.handling.handle(message, lease)
        self.deletions.flush()
        return len(taken)
