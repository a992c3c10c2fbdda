"""Runs billed from the queue to Stripe, against the same written straightforwardly.

``python -m bench.file_processed [--rounds N] [--messages N] [--only NAME ...]``
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.contender import Contender
from bench.rounds import arguments, play, publish
from bench.serving import Server, server

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = "SiftBeam Billing"
CONCURRENCY = 20
_CUSTOMERS = 500
_AT_ONCE = 5000


def _runs(queue: str) -> Callable[[Server, int], None]:
    """One completed run per message, of five hundred customers in turn."""

    def fill(stand_in: Server, messages: int) -> None:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        for start in range(0, messages, _AT_ONCE):
            runs = [
                (f"cus_{number % _CUSTOMERS:05d}", f"run-{number:08d}")
                for number in range(start, min(messages, start + _AT_ONCE))
            ]
            stand_in.put(
                "siftbeam-processing-history",
                [
                    {
                        "processing-historyId": {"S": run},
                        "customerId": {"S": customer},
                        "status": {"S": "completed"},
                        "usageAmountBytes": {"N": "1000"},
                    }
                    for customer, run in runs
                ],
            )
            stand_in.fill(
                queue,
                [
                    '{"kind":"file_processed","version":1,"bucket":"siftbeam",'
                    f'"key":"service/output/{customer}/{run}/out.csv","eventTime":"{now}"}}'
                    for customer, run in runs
                ],
            )

    return fill


def contenders() -> list[Contender]:
    """Both."""
    return [
        Contender(
            OURS,
            [sys.executable, "-m", "worker", "--queue", "file-processed"],
            "siftbeam-file-processed",
            _runs("siftbeam-file-processed"),
            {"SIFTBEAM_CONCURRENCY": str(CONCURRENCY)},
        ),
        Contender(
            "straightforward",
            [sys.executable, "-m", "bench.peers.straightforward", "bench_straightforward"],
            "bench_straightforward",
            _runs("bench_straightforward"),
        ),
    ]


def main() -> None:
    """Run and print."""
    asked = arguments(__doc__, rounds=3, messages=3000)
    with server(ministack=asked.ministack) as stand_in:
        publish(play(contenders(), stand_in, asked), asked, "processed file")


if __name__ == "__main__":
    main()
