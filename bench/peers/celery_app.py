"""Celery with SQS (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/sqs.html)."""

from __future__ import annotations

import os

from celery import Celery

QUEUE = "bench_celery"
app = Celery("bench", broker="sqs://")
app.conf.task_default_queue = QUEUE
app.conf.worker_enable_remote_control = False
app.conf.broker_connection_retry_on_startup = True
app.conf.task_ignore_result = True
app.conf.broker_transport_options = {
    "region": "us-east-1",
    "predefined_queues": {QUEUE: {"url": f"{os.environ['AWS_ENDPOINT_URL']}/000000000000/{QUEUE}"}},
}


@app.task
def empty(bucket: str, key: str, event_time: str) -> None:
    """Do nothing."""


if __name__ == "__main__":
    empty.delay("siftbeam", "elsewhere/file.csv", "2026-10-01T00:00:00Z")
