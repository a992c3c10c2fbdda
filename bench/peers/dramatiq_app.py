"""dramatiq with dramatiq_sqs (https://github.com/Bogdanp/dramatiq_sqs)."""

from __future__ import annotations

import dramatiq
from dramatiq_sqs import SQSBroker

QUEUE = "dramatiq"
broker = SQSBroker(namespace="bench", dead_letter=False)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=QUEUE)
def empty(bucket: str, key: str, event_time: str) -> None:
    """Do nothing."""


if __name__ == "__main__":
    empty.send("siftbeam", "elsewhere/file.csv", "2026-10-01T00:00:00Z")
