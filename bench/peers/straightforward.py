"""`file_processed` as it is written first: one call per step, default clients, twenty threads.

It bills each run once as long as nothing goes wrong at a bad moment: a run is claimed by a
conditional write, sent under an identifier, and marked sent.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from os import environ

import boto3
import stripe

CONCURRENCY = 20


class Worker:
    """Bills runs as their outputs are announced."""

    def __init__(self, queue: str) -> None:
        self._sqs = boto3.client("sqs")
        self._s3 = boto3.client("s3")
        self._dynamodb = boto3.client("dynamodb")
        self._stripe = stripe.StripeClient(
            environ["SIFTBEAM_STRIPE_API_KEY"],
            base_addresses={"api": environ["SIFTBEAM_STRIPE_API_BASE"]},
        )
        self._url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]

    def run(self) -> None:
        """Consume for ever."""
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            while True:
                answer = self._sqs.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=20
                )
                list(pool.map(self._handle, answer.get("Messages", ())))

    def _handle(self, message: dict[str, str]) -> None:
        event = json.loads(message["Body"])
        _, _, customer, run, _ = event["key"].split("/")
        row = self._dynamodb.get_item(
            TableName="siftbeam-processing-history", Key={"processing-historyId": {"S": run}}
        )["Item"]
        if row["status"]["S"] == "completed":
            self._bill(customer, run, event["eventTime"])
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _bill(self, customer: str, run: str, event_time: str) -> None:
        objects = self._s3.list_objects_v2(
            Bucket="siftbeam", Prefix=f"service/input/{customer}/{run}/"
        )
        size = sum(entry["Size"] for entry in objects.get("Contents", ()))
        self._dynamodb.put_item(
            TableName="siftbeam-billing-ledger",
            Item={
                "fact": {"S": f"file_processed#{run}"},
                "customerId": {"S": customer},
                "value": {"N": str(size)},
                "state": {"S": "sending"},
            },
            ConditionExpression="attribute_not_exists(fact)",
        )
        self._stripe.v1.billing.meter_events.create(
            {
                "event_name": "file_processed",
                "identifier": run,
                "timestamp": int(datetime.fromisoformat(event_time).timestamp()),
                "payload": {"stripe_customer_id": customer, "value": str(size)},
            }
        )
        self._dynamodb.update_item(
            TableName="siftbeam-billing-ledger",
            Key={"fact": {"S": f"file_processed#{run}"}},
            UpdateExpression="SET #state = :sent, sentAt = :now",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":sent": {"S": "sent"},
                ":now": {"N": str(int(time.time()))},
            },
        )


if __name__ == "__main__":
    Worker(sys.argv[1]).run()
