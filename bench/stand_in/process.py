"""The stand-in as a child process, and what a bench asks of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from bench.stand_in.server import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_STARTUP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class State:
    """What was asked of it since the last reset, by operation, and what was deleted, by queue."""

    counts: Mapping[str, int]
    deleted: Mapping[str, int]


def send_with(module: str, environment: Mapping[str, str]) -> None:
    """Let a program send what it sends."""
    subprocess.run(
        [sys.executable, "-m", module], env={**os.environ, **environment}, check=True, timeout=60
    )


class StandIn:
    """A stand-in on a free port; a context manager."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self._port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._line = HTTPConnection(HOST, self._port, timeout=60)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._port}"

    def environment(self) -> dict[str, str]:
        """What points an AWS SDK, and the product, at it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
            "SIFTBEAM_STRIPE_API_BASE": self.url,
            "SIFTBEAM_STRIPE_API_KEY": "sk_live_bench",
        }

    def reset(self) -> None:
        """Forget everything."""
        self._ask("reset")

    def fill(self, queue: str, bodies: Sequence[str]) -> None:
        """Put messages on a queue."""
        self._ask("fill", queue=queue, bodies=bodies)

    def copy(self, queue: str, times: int) -> None:
        """Repeat what a queue holds."""
        self._ask("copy", queue=queue, times=times)

    def send_with(self, module: str) -> None:
        """Let a program send what it sends."""
        send_with(module, self.environment())

    def put(self, table: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Put items into a table."""
        self._ask("put", table=table, items=items)

    def objects(self, each: int) -> None:
        """Let so many objects lie under every prefix."""
        self._ask("objects", each=each)

    def state(self) -> State:
        """What was counted."""
        answer = self._ask("state")
        return State(answer["counts"], answer["deleted"])

    def __enter__(self) -> Self:
        """Start it; returns when it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.stand_in.server", str(self._port)]
        )
        deadline = time.monotonic() + _STARTUP_SECONDS
        while True:
            try:
                self.state()
            except (OSError, HTTPException):
                self._line.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._line.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _ask(self, what: str, **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        self._line.request("POST", f"/_bench/{what}", json.dumps(asked))
        answer: dict[str, Any] = json.loads(self._line.getresponse().read())
        return answer
