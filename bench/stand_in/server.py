"""The stand-in's process: one loop, one port, keep-alive. ``python -m bench.stand_in.server PORT``.

What a bench asks of it itself goes to ``/_bench/…`` and is not counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from bench.stand_in.answer import JSON, Answer, as_json, fault
from bench.stand_in.meters import Meters
from bench.stand_in.objects import Objects
from bench.stand_in.queues import Queues
from bench.stand_in.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Awaitable

HOST = "127.0.0.1"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}


class Services:
    """Everything that is stood in for.

    Args:
        port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}"
        self.reset()

    def reset(self) -> None:
        """Begin anew, empty."""
        self.counts: Counter[str] = Counter()
        self.queues = Queues(self._url)
        self.tables = Tables()
        self.objects = Objects()
        self.meters = Meters()

    def answer(self, target: str, amz_target: str, body: bytes) -> Answer | Awaitable[Answer]:
        """Answer one call."""
        parts = urlsplit(target)
        if parts.path.startswith("/_bench/"):
            return self._steer(parts.path.removeprefix("/_bench/"), json.loads(body or b"{}"))
        if amz_target:
            service, _, operation = amz_target.partition(".")
            if service == "AmazonSQS":
                self.counts[f"sqs {operation}"] += 1
                return self.queues.answer(operation, json.loads(body))
            self.counts[f"dynamodb {operation}"] += 1
            return self.tables.answer(operation, json.loads(body))
        if parts.path.startswith("/v1/"):
            self.counts[f"stripe {parts.path}"] += 1
            return self.meters.answer(parts.path, body)
        if "list-type=2" in parts.query:
            self.counts["s3 ListObjectsV2"] += 1
            return self.objects.answer(parse_qs(parts.query))
        return fault("InvalidAction", f"the stand-in knows no {target}")

    def _steer(self, what: str, asked: dict[str, Any]) -> Answer:
        match what:
            case "reset":
                self.reset()
            case "fill":
                self.queues.fill(asked["queue"], asked["bodies"])
            case "copy":
                self.queues.copy(asked["queue"], asked["times"])
            case "put":
                self.tables.put(asked["table"], asked["items"])
            case "objects":
                self.objects.each = asked["each"]
        deleted = {name: queue.deleted for name, queue in self.queues.by_name.items()}
        return as_json({"counts": self.counts, "deleted": deleted}, content_type=JSON)


class Line(asyncio.Protocol):
    """One connection; a request is answered before the next is read."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what asyncio promises
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        """End, and whatever waits with it."""
        self._transport = None
        if self._waiting is not None:
            self._waiting.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer if it is a whole request."""
        self._read += data
        if self._waiting is None:
            self._answer_whole()

    def _answer_whole(self) -> None:
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:])
            }
            length = int(headers.get("content-length", "0"))
            if len(self._read) < end + 4 + length:
                return
            body = bytes(self._read[end + 4 : end + 4 + length])
            del self._read[: end + 4 + length]
            target = head[0].split(" ")[1]
            answer = self._services.answer(target, headers.get("x-amz-target", ""), body)
            if isinstance(answer, Answer):
                self._write(answer)
            else:
                self._waiting = asyncio.ensure_future(self._answer_later(answer))
                return

    async def _answer_later(self, answer: Awaitable[Answer]) -> None:
        self._write(await answer)
        self._waiting = None
        self._answer_whole()

    def _write(self, answer: Answer) -> None:
        if self._transport is None:
            return
        head = (
            f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
            f"content-type: {answer.content_type}\r\ncontent-length: {len(answer.body)}\r\n"
            "request-id: req_bench\r\nx-amzn-requestid: bench\r\n\r\n"
        )
        self._transport.write(head.encode() + answer.body)


async def serve(port: int) -> None:
    """Listen until ended."""
    services = Services(port)
    server = await asyncio.get_running_loop().create_server(lambda: Line(services), HOST, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
