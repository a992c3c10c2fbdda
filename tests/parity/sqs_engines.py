"""SQS twice: simulated, and emulated by ministack."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Protocol, cast

import boto3
from botocore.config import Config

from tests.parity.fibre import Calm, Outside
from tests.simulation.sqs import MOST_RECEIPTS, SQS
from tests.simulation.sqs_client import SQSClient as SimulatedClient

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from infra.embedded_aws import EmbeddedAws

# 2026-11-01 00:05 UTC
START = 1_793_491_500.0


class Sqs(Protocol):
    """An engine with one queue, empty, and its dead-letter queue."""

    client: SQSClient
    url: str
    dead_url: str

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""

    def arrive(self) -> None:
        """Let what was sent be visible."""


class SimulatedSqs:
    """The simulation's, in calm weather."""

    def __init__(self) -> None:
        self._calm = calm = Calm(START)
        queues = SQS(("siftbeam-file-processed",), calm.scheduler, calm.faults, calm.weather)
        client = Outside(SimulatedClient(queues, calm.process), calm)
        self.client = cast("SQSClient", client)
        self.url = self.client.get_queue_url(QueueName="siftbeam-file-processed")["QueueUrl"]
        self.dead_url = self.url + "-dlq"

    def pass_time(self, seconds: float) -> None:
        self._calm.pass_time(seconds)

    def arrive(self) -> None:
        self._calm.pass_time(1)


class ServedSqs:
    """ministack's, which runs on the machine's clock."""

    def __init__(self, aws: EmbeddedAws) -> None:
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="ap-northeast-1"
        )
        config = Config(retries={"total_max_attempts": 1})
        self.client: SQSClient = session.client("sqs", endpoint_url=aws.url, config=config)
        name = f"p{uuid.uuid4().hex[:10]}"
        retention = {"MessageRetentionPeriod": "1209600"}
        self.dead_url = self.client.create_queue(QueueName=f"{name}-dlq", Attributes=retention)[
            "QueueUrl"
        ]
        arn = self.client.get_queue_attributes(QueueUrl=self.dead_url, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": {MOST_RECEIPTS}}}'
        self.url = self.client.create_queue(
            QueueName=name, Attributes={"RedrivePolicy": policy, **retention}
        )["QueueUrl"]

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def arrive(self) -> None:
        """A message is visible as soon as it is sent."""

    def close(self) -> None:
        """Remove the queues."""
        for url in (self.url, self.dead_url):
            self.client.delete_queue(QueueUrl=url)
        self.client.close()
