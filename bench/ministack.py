"""The embedded AWS in the stand-in's place: slower, nearer to AWS. Stripe is still stood in for.

Its processor time is not the contenders', but it bounds their messages a second; and calls to it
are not counted.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from bench.stand_in.process import StandIn, State, send_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_COMMAND = "from worker.cli import main; main()"
_READY = "export SIFTBEAM_STRIPE_API_BASE="
_MOST_MESSAGES, _MOST_ROWS = 10, 25
_STILL_THERE = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class Ministack:
    """What :class:`bench.stand_in.process.StandIn` is, on ``siftbeam-billing local up``.

    Prefixes are empty: a run's bytes are those of its row, and a customer holds none.
    """

    def __init__(self) -> None:
        self._stand_in = StandIn()
        self._process: subprocess.Popen[str] | None = None
        self._variables: dict[str, str] = {}
        self._sent: dict[str, int] = {}

    def environment(self) -> dict[str, str]:
        """What points an AWS SDK, and the product, at it."""
        stripe = {
            name: value
            for name, value in self._stand_in.environment().items()
            if name.startswith("SIFTBEAM_STRIPE_")
        }
        return self._variables | stripe

    def reset(self) -> None:
        """Begin anew, empty."""
        self._stand_in.reset()
        self._stop()
        self._start()

    def fill(self, queue: str, bodies: Sequence[str]) -> None:
        """Put messages on a queue."""
        self._send(queue, [{"MessageBody": body} for body in bodies])

    def copy(self, queue: str, times: int) -> None:
        """Repeat what a queue holds."""
        held: list[dict[str, Any]] = []
        while (
            found := self._sqs()
            .receive_message(
                QueueUrl=self._url(queue),
                MaxNumberOfMessages=_MOST_MESSAGES,
                MessageAttributeNames=["All"],
            )
            .get("Messages")
        ):
            held += [
                {
                    "MessageBody": message["Body"],
                    "MessageAttributes": message.get("MessageAttributes", {}),
                }
                for message in found
            ]
        self._sqs().purge_queue(QueueUrl=self._url(queue))
        self._sent[queue] = 0
        self._send(queue, held * (times + 1))

    def send_with(self, module: str) -> None:
        """Let a program send what it sends."""
        send_with(module, self.environment())

    def put(self, table: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Put items into a table."""
        dynamodb = self._client("dynamodb")
        for start in range(0, len(items), _MOST_ROWS):
            some = items[start : start + _MOST_ROWS]
            dynamodb.batch_write_item(
                RequestItems={table: [{"PutRequest": {"Item": item}} for item in some]}
            )

    def objects(self, each: int) -> None:
        """Nothing lies there, however many are asked for."""

    def state(self) -> State:
        """What was deleted: what was sent and is there no more."""
        deleted = {}
        for queue, sent in self._sent.items():
            found = self._sqs().get_queue_attributes(
                QueueUrl=self._url(queue), AttributeNames=list(_STILL_THERE)
            )["Attributes"]
            deleted[queue] = sent - sum(int(found[name]) for name in _STILL_THERE)
        return State(self._stand_in.state().counts, deleted)

    def __enter__(self) -> Self:
        """Start it; returns when it answers."""
        self._stand_in.__enter__()
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._stop()
        self._stand_in.__exit__(kind, error, traceback)

    def _send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> None:
        url = self._url(queue)
        for start in range(0, len(messages), _MOST_MESSAGES):
            some = messages[start : start + _MOST_MESSAGES]
            entries = [{"Id": str(number), **message} for number, message in enumerate(some)]
            self._sqs().send_message_batch(QueueUrl=url, Entries=entries)
        self._sent[queue] = self._sent.get(queue, 0) + len(messages)

    def _url(self, queue: str) -> str:
        return str(self._sqs().create_queue(QueueName=queue)["QueueUrl"])

    def _sqs(self) -> Any:  # noqa: ANN401 - boto3's clients have no types without stubs
        return self._client("sqs")

    def _client(self, service: str) -> Any:  # noqa: ANN401 - as above
        if service not in self._clients:
            self._clients[service] = boto3.client(
                cast("Any", service),
                endpoint_url=self._variables["AWS_ENDPOINT_URL"],
                region_name=self._variables["AWS_REGION"],
                aws_access_key_id=self._variables["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self._variables["AWS_SECRET_ACCESS_KEY"],
                config=Config(proxies={}),
            )
        return self._clients[service]

    def _start(self) -> None:
        self._clients: dict[str, Any] = {}
        self._sent = {}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "local", "up"],
            env={**os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._variables = {}
        for line in self._process.stdout:
            name, _, value = line.removeprefix("export ").partition("=")
            self._variables[name] = shlex.split(value)[0]
            if line.startswith(_READY):
                return
        raise RuntimeError("the embedded parts did not start: `siftbeam-billing local up` says why")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None
