"""An emulated AWS per test process, and in it a data stack of its own per test.

A deployment takes well under a tenth of a second on the emulator, so every test gets its own names
instead of a shared stack and a reset: that isolates just as well on a real account.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import boto3
import pytest

from infra.embedded_aws import EmbeddedAws
from infra.stack import StackOutputs, deploy, template_path
from infra.stripe_simulator import Seed, SeedMeter, SettableClock, StripeSimulator, serve
from tests.integration.operator import Operator
from tests.integration.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient


def session_of(aws: EmbeddedAws) -> boto3.Session:
    settings = aws.environment()
    return boto3.Session(
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        region_name=settings["AWS_REGION"],
    )


@dataclass(frozen=True, slots=True)
class Clients:
    cloudformation: CloudFormationClient
    dynamodb: DynamoDBClient
    events: EventBridgeClient
    s3: S3Client
    secrets: SecretsManagerClient
    sqs: SQSClient

    @classmethod
    def of(cls, aws: EmbeddedAws) -> Clients:
        session, url = session_of(aws), aws.url
        return cls(
            cloudformation=session.client("cloudformation", endpoint_url=url),
            dynamodb=session.client("dynamodb", endpoint_url=url),
            events=session.client("events", endpoint_url=url),
            s3=session.client("s3", endpoint_url=url),
            secrets=session.client("secretsmanager", endpoint_url=url),
            sqs=session.client("sqs", endpoint_url=url),
        )

    def close(self) -> None:
        self.cloudformation.close()
        self.dynamodb.close()
        self.events.close()
        self.s3.close()
        self.secrets.close()
        self.sqs.close()


@dataclass(frozen=True, slots=True)
class DataStack:
    """A deployed data template under names that no other test uses."""

    aws: EmbeddedAws
    clients: Clients
    name: str
    parameters: dict[str, str]
    outputs: StackOutputs

    @property
    def bucket(self) -> str:
        return self.parameters["BucketName"]

    @property
    def secret_id(self) -> str:
        return self.parameters["StripeSecretName"]

    def table(self, name: str) -> str:
        """The full name of, say, `billing-ledger`."""
        return self.parameters["TablePrefix"] + name

    def queue_url(self, name: str) -> str:
        """The URL of, say, `daily-sizing` or `daily-sizing-dlq`."""
        found = self.clients.sqs.get_queue_url(QueueName=self.parameters["QueuePrefix"] + name)
        return found["QueueUrl"]

    def environment(self) -> dict[str, str]:
        """What a worker or a command needs to run against this stack."""
        return self.aws.environment() | {
            "SIFTBEAM_BUCKET": self.bucket,
            "SIFTBEAM_TABLE_PREFIX": self.parameters["TablePrefix"],
            "SIFTBEAM_QUEUE_PREFIX": self.parameters["QueuePrefix"],
            "SIFTBEAM_STRIPE_SECRET_ID": self.secret_id,
        }

    def deploy(self, **changed: str) -> StackOutputs:
        """Deploys again, with parameters changed."""
        return deploy(
            self.clients.cloudformation,
            self.name,
            template_path("data"),
            self.parameters | changed,
        )


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture(scope="session")
def clients(embedded_aws: EmbeddedAws) -> Iterator[Clients]:
    made = Clients.of(embedded_aws)
    yield made
    made.close()


@pytest.fixture
def stack(embedded_aws: EmbeddedAws, clients: Clients) -> DataStack:
    return deploy_data_stack(embedded_aws, clients)


def deploy_data_stack(aws: EmbeddedAws, clients: Clients, **changed: str) -> DataStack:
    own = f"t{uuid.uuid4().hex[:10]}"
    parameters = {
        "TablePrefix": f"{own}-",
        "QueuePrefix": f"{own}-",
        "BucketName": f"{own}-files",
        "StripeSecretName": f"{own}/stripe/api-key",
        # A tick of the wall clock must not reach into a test.
        "SchedulesState": "DISABLED",
        **changed,
    }
    outputs = deploy(clients.cloudformation, own, template_path("data"), parameters)
    return DataStack(aws, clients, own, parameters, outputs)


@pytest.fixture
def wall() -> SettableClock:
    """The time of the worker and of Stripe: the 1st of November, when October is billed."""
    return SettableClock(datetime(2026, 11, 1, 0, 5, tzinfo=UTC))


@pytest.fixture
def simulator(wall: SettableClock) -> StripeSimulator:
    """Stripe with the two meters and no customer."""
    made = StripeSimulator(wall)
    made.seed(
        Seed(
            meters=(
                SeedMeter(
                    event_name="storage-usage", unit_amount=Decimal(10), divide_by=1_073_741_824
                ),
                SeedMeter(event_name="file_processed", unit_amount=Decimal("0.001")),
            )
        )
    )
    return made


@pytest.fixture
def scenario(
    stack: DataStack, simulator: StripeSimulator, wall: SettableClock
) -> Iterator[Scenario]:
    with serve(simulator) as served:
        made = Scenario(stack, simulator, served.url, wall)
        yield made
        made.close()


@pytest.fixture
def operator(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Operator:
    for name, value in scenario.stack.environment().items():
        monkeypatch.setenv(name, value)
    return Operator(scenario, monkeypatch)
