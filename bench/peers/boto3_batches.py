"""The same loop with its deletions by tens: the least that boto3 can be asked for."""

from __future__ import annotations

import json
import sys

import boto3


def main(queue: str) -> None:
    """Consume for ever."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    while True:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        messages = answer.get("Messages", ())
        for message in messages:
            json.loads(message["Body"])
        if messages:
            sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                    for index, message in enumerate(messages)
                ],
            )


if __name__ == "__main__":
    main(sys.argv[1])
