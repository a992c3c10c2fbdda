"""Daily sizing of many small customers, against the same written straightforwardly.

``python -m bench.daily_sizing [--rounds N] [--messages N] [--only NAME ...]``
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from bench.contender import Contender
from bench.rounds import arguments, play, publish
from bench.serving import Server, server

OURS = "SiftBeam Billing"
CONCURRENCY = 20
_OBJECTS = 10
_QUEUE = "siftbeam-daily-sizing"


def _customers(stand_in: Server, messages: int) -> None:
    """One message per customer, who holds ten objects in each of both prefixes."""
    stand_in.objects(_OBJECTS)
    today = datetime.now(UTC).date()
    stand_in.fill(
        _QUEUE,
        [
            f'{{"kind":"size_customer","version":1,"customerId":"cus_{number:06d}",'
            f'"date":"{today}"}}'
            for number in range(messages)
        ],
    )


def contenders() -> list[Contender]:
    """Ours alone."""
    return [
        Contender(
            OURS,
            [sys.executable, "-m", "worker", "--queue", "daily-sizing"],
            _QUEUE,
            _customers,
            {"SIFTBEAM_CONCURRENCY": str(CONCURRENCY)},
        )
    ]


def main() -> None:
    """Run and print."""
    asked = arguments(__doc__, rounds=3, messages=10_000)
    with server(ministack=asked.ministack) as stand_in:
        publish(play(contenders(), stand_in, asked), asked, "customer and day")


if __name__ == "__main__":
    main()
