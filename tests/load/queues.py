"""SQS's standard queues over HTTP, as quick at a hundred thousand messages as at ten.

The emulator looks at every message of a queue at every call, so a pass over 100,000 letters takes
it an hour. This one keeps what a replay leans on: visibility timeouts, handles that a newer receipt
makes void, 120,000 messages in flight at most. JSON protocol, one process, loopback only.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

MOST_IN_FLIGHT = 120_000
_LOOK_AGAIN_SECONDS = 0.02
Request = dict[str, Any]
Answer = dict[str, Any]


class _Refused(Exception):  # noqa: N818 - an answer, no fault of the program
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Message:
    message_id: str
    body: str
    attributes: dict[str, Any]
    sent_at: int
    handle: str | None = None
    receipts: int = 0


@dataclass(slots=True)
class _Queue:
    visible: deque[_Message] = field(default_factory=deque)
    in_flight: dict[str, _Message] = field(default_factory=dict)
    shown_at: dict[str, float] = field(default_factory=dict)
    deadlines: list[tuple[float, str]] = field(default_factory=list)

    def hide(self, message: _Message, seconds: float) -> str:
        handle = message.handle or uuid.uuid4().hex
        message.handle = handle
        self.in_flight[handle] = message
        due = time.monotonic() + seconds
        self.shown_at[handle] = due
        heapq.heappush(self.deadlines, (due, handle))
        return handle

    def take(self, handle: str) -> _Message | None:
        self.shown_at.pop(handle, None)
        return self.in_flight.pop(handle, None)

    def show(self, handle: str) -> None:
        message = self.take(handle)
        if message is not None:
            message.handle = None
            self.visible.append(message)

    def show_what_is_due(self) -> None:
        now = time.monotonic()
        while self.deadlines and self.deadlines[0][0] <= now:
            due, handle = heapq.heappop(self.deadlines)
            # A deadline that was put off counts no more.
            if due == self.shown_at.get(handle):
                self.show(handle)


class Queues:
    """All queues; one is made when it is first named."""

    def __init__(self, seed: int, answer_seconds: float) -> None:
        self._queues: dict[str, _Queue] = {}
        self._random = random.Random(seed)  # noqa: S311 - an order, no secret
        self._answer_seconds = answer_seconds

    async def answer(self, action: str, request: Request, host: str) -> Answer:
        if action == "GetQueueUrl":
            return {"QueueUrl": f"http://{host}/000000000000/{request['QueueName']}"}
        name = request["QueueUrl"].rsplit("/", 1)[-1]
        queue = self._queues.setdefault(name, _Queue())
        queue.show_what_is_due()
        if action == "ReceiveMessage":
            return await self._receive(queue, request)
        actions: dict[str, Callable[[_Queue, Request], Answer]] = {
            "GetQueueAttributes": self._attributes,
            "SendMessageBatch": self._send,
            "DeleteMessageBatch": self._delete,
            "ChangeMessageVisibilityBatch": self._change,
        }
        if action not in actions:
            raise _Refused("UnsupportedOperation")
        answer = actions[action](queue, request)
        if action == "SendMessageBatch":
            # What is sent is there before its sender knows.
            await asyncio.sleep(self._answer_seconds)
        return answer

    async def _receive(self, queue: _Queue, request: Request) -> Answer:
        deadline = time.monotonic() + request.get("WaitTimeSeconds", 0)
        while not queue.visible and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            queue.show_what_is_due()
        messages = []
        # Now and then fewer than asked for, in no order, as a standard queue gives.
        most = request.get("MaxNumberOfMessages", 1) if self._random.random() < 0.9 else 1
        for _ in range(min(most, len(queue.visible))):
            if len(queue.in_flight) >= MOST_IN_FLIGHT:
                raise _Refused("OverLimit")
            queue.visible.rotate(self._random.randint(-2, 2))
            message = queue.visible.popleft()
            message.receipts += 1
            handle = queue.hide(message, request.get("VisibilityTimeout", 30))
            messages.append(
                {
                    "MessageId": message.message_id,
                    "ReceiptHandle": handle,
                    "Body": message.body,
                    "Attributes": {"SentTimestamp": str(message.sent_at)},
                    "MessageAttributes": message.attributes,
                }
            )
        return {"Messages": messages} if messages else {}

    def _attributes(self, queue: _Queue, _request: Request) -> Answer:
        return {
            "Attributes": {
                "QueueArn": "arn:aws:sqs:ap-northeast-1:000000000000:load",
                "ApproximateNumberOfMessages": str(len(queue.visible)),
                "ApproximateNumberOfMessagesNotVisible": str(len(queue.in_flight)),
                "ApproximateNumberOfMessagesDelayed": "0",
            }
        }

    def _send(self, queue: _Queue, request: Request) -> Answer:
        done = []
        for entry in request["Entries"]:
            message = _Message(
                str(uuid.uuid4()),
                entry["MessageBody"],
                entry.get("MessageAttributes", {}),
                int(time.time() * 1000),
            )
            queue.visible.append(message)
            done.append(
                {"Id": entry["Id"], "MessageId": message.message_id, "MD5OfMessageBody": "0" * 32}
            )
        return {"Successful": done, "Failed": []}

    def _delete(self, queue: _Queue, request: Request) -> Answer:
        for entry in request["Entries"]:
            queue.take(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]], "Failed": []}

    def _change(self, queue: _Queue, request: Request) -> Answer:
        done: list[dict[str, str]] = []
        failed: list[dict[str, Any]] = []
        for entry in request["Entries"]:
            message = queue.in_flight.get(entry["ReceiptHandle"])
            if message is None:
                failed.append(
                    {"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid", "SenderFault": True}
                )
                continue
            done.append({"Id": entry["Id"]})
            if entry["VisibilityTimeout"] == 0:
                queue.show(entry["ReceiptHandle"])
            else:
                queue.hide(message, entry["VisibilityTimeout"])
        return {"Successful": done, "Failed": failed}


class QueueServer:
    """The queues as a process of their own, which never outlives its parent; a context manager."""

    def __init__(self, seed: int, answer_seconds: float = 0.0) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.load.queues", str(port), str(seed), str(answer_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


async def _converse(
    queues: Queues, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    for number in itertools.count(1):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            }
            content = await reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            # Whoever was killed said half a sentence.
            break
        status, answer = "200 OK", {}
        try:
            action = headers["x-amz-target"].removeprefix("AmazonSQS.")
            answer = await queues.answer(action, json.loads(content), headers["host"])
        except _Refused as refused:
            status, answer = "400 Bad Request", {"__type": refused.code, "message": refused.code}
        text = json.dumps(answer).encode()
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"Date: {formatdate(usegmt=True)}\r\nx-amzn-RequestId: {number}\r\n"
            f"Content-Length: {len(text)}\r\n\r\n".encode()
            + text
        )
        try:
            await writer.drain()
        except ConnectionError:
            break
    writer.close()


async def _serve(port: int, seed: int, answer_seconds: float) -> None:
    queues = Queues(seed, answer_seconds)
    server = await asyncio.start_server(
        lambda reader, writer: _converse(queues, reader, writer), "127.0.0.1", port
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
