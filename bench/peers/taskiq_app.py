"""taskiq with taskiq-aio-sqs (https://github.com/vonsteer/taskiq-aio-sqs)."""

from __future__ import annotations

import asyncio
import os

from taskiq_aio_sqs import SQSBroker

QUEUE = "bench_taskiq"
broker = SQSBroker(
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    sqs_queue_name=QUEUE,
    region_name="us-east-1",
    wait_time_seconds=10,
    max_number_of_messages=10,
)


@broker.task
async def empty(bucket: str, key: str, event_time: str) -> None:
    """Do nothing."""


async def _send() -> None:
    await broker.startup()
    await empty.kiq("siftbeam", "elsewhere/file.csv", "2026-10-01T00:00:00Z")
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(_send())
