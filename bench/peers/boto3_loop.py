"""A plain loop on boto3: receive ten, handle each on a thread, delete each.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-long-polling.html
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3

CONCURRENCY = 10


def main(queue: str) -> None:
    """Consume for ever."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]

    def handle(message: dict[str, str]) -> None:
        json.loads(message["Body"])
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            list(pool.map(handle, answer.get("Messages", ())))


if __name__ == "__main__":
    main(sys.argv[1])
