"""Empty messages: what it takes to receive a message, do nothing, and delete it.

``python -m bench.empty_messages [--rounds N] [--messages N] [--only NAME ...]``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contender import Contender
from bench.rounds import arguments, play, publish
from bench.serving import Server, server

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = "SiftBeam Billing"
CONCURRENCY = 10
_NODE = Path(__file__).with_name("peers") / "node"
# An object that is no run's output: read, validated, handled, ignored.
_BODY = (
    '{"kind":"file_processed","version":1,"bucket":"siftbeam","key":"elsewhere/file.csv",'
    '"eventTime":"2026-10-01T00:00:00Z"}'
)


def _bodies(queue: str) -> Callable[[Server, int], None]:
    def fill(stand_in: Server, messages: int) -> None:
        stand_in.fill(queue, [_BODY])
        stand_in.copy(queue, messages - 1)

    return fill


def _own(queue: str, module: str) -> Callable[[Server, int], None]:
    """Let a peer send one message of its own format, and repeat that."""

    def fill(stand_in: Server, messages: int) -> None:
        stand_in.send_with(f"bench.peers.{module}")
        stand_in.copy(queue, messages - 1)

    return fill


def contenders() -> list[Contender]:
    """Everybody, ten messages at a time."""
    python = sys.executable
    return [
        Contender(
            OURS,
            [python, "-m", "worker", "--queue", "file-processed"],
            "siftbeam-file-processed",
            _bodies("siftbeam-file-processed"),
            {"SIFTBEAM_CONCURRENCY": str(CONCURRENCY)},
        ),
        Contender(
            "boto3 loop",
            [python, "-m", "bench.peers.boto3_loop", "bench_loop"],
            "bench_loop",
            _bodies("bench_loop"),
        ),
        Contender(
            "dramatiq_sqs",
            ["dramatiq", "bench.peers.dramatiq_app", "--processes=1", f"--threads={CONCURRENCY}"],
            "bench_dramatiq",
            _own("bench_dramatiq", "dramatiq_app"),
        ),
        Contender(
            "celery",
            [
                *("celery", "--app=bench.peers.celery_app", "worker", "--pool=threads"),
                *(f"--concurrency={CONCURRENCY}", "--without-gossip", "--without-mingle"),
                *("--loglevel=warning",),
            ],
            "bench_celery",
            _own("bench_celery", "celery_app"),
        ),
        Contender(
            "taskiq-aio-sqs",
            [
                *("taskiq", "worker", "bench.peers.taskiq_app:broker", "--workers=1"),
                f"--max-async-tasks={CONCURRENCY}",
            ],
            "bench_taskiq",
            _own("bench_taskiq", "taskiq_app"),
        ),
        Contender(
            "sqs-consumer (Node)",
            ["node", str(_NODE / "consume.js"), "bench_node", "each"],
            "bench_node",
            _bodies("bench_node"),
            needs=_NODE / "node_modules",
        ),
        Contender(
            "boto3 loop, batched",
            [python, "-m", "bench.peers.boto3_batches", "bench_batches"],
            "bench_batches",
            _bodies("bench_batches"),
        ),
        Contender(
            "sqs-consumer (Node), batched",
            ["node", str(_NODE / "consume.js"), "bench_node", "batch"],
            "bench_node",
            _bodies("bench_node"),
            needs=_NODE / "node_modules",
        ),
    ]


def main() -> None:
    """Run and print."""
    asked = arguments(__doc__, rounds=3, messages=6000)
    with server(ministack=asked.ministack) as stand_in:
        publish(play(contenders(), stand_in, asked), asked, "empty message")


if __name__ == "__main__":
    main()
