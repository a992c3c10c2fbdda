"""The AWS clients: the only place that makes them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import InvalidRegionError

from producers.queues import Queue
from worker.settings import SettingsError
from worker.short_way import shorten

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

    from worker.settings import Settings

LONG_POLL_SECONDS = 20
_SIDE_THREADS = 16
USER_AGENT = f"siftbeam-billing/{metadata.version('siftbeam-billing')}"


@dataclass(frozen=True, slots=True)
class AwsClients:
    """The clients that the worker and the commands use; all are safe between threads.

    ``renewals`` renews leases: it answers or fails soon, and whoever uses it tries again.
    ``credentials`` are those of the same session, for the listing that signs its own requests;
    None where the environment has none.
    """

    s3: S3Client
    sqs: SQSClient
    dynamodb: DynamoDBClient
    secrets: SecretsManagerClient
    renewals: SQSClient | None = None
    credentials: Credentials | None = None


def session_for(settings: Settings) -> boto3.Session:
    """A session in the region that the settings name."""
    return boto3.Session(region_name=settings.region)


def is_emulated() -> bool:
    """Whether the environment names an endpoint of its own instead of AWS."""
    return bool(os.environ.get("AWS_ENDPOINT_URL"))


def client_config(settings: Settings, *, read_timeout: int = 10, attempts: int = 4) -> Config:
    """Timeouts, retries and a connection pool that fits the worker's threads."""
    # A custom endpoint rarely resolves bucket.host names; AWS itself always does.
    custom = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return Config(
        connect_timeout=min(5, read_timeout),
        read_timeout=read_timeout,
        max_pool_connections=settings.concurrency * len(Queue) + _SIDE_THREADS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
        # Shorter than botocore's own, which is put together anew for every call.
        user_agent=USER_AGENT,
        # The stubs check the same before a call is ever made, and the service checks it again.
        parameter_validation=False,
        s3={"addressing_style": "path" if custom else "virtual"},
    )


def connect(settings: Settings) -> AwsClients:
    """Make the clients. No call is made yet.

    Raises:
        SettingsError: the region or the endpoint in the environment is malformed.
    """
    try:
        return _connect(settings)
    except InvalidRegionError as error:
        raise SettingsError(f"AWS_REGION: {error}") from None
    except ValueError as error:
        raise SettingsError(f"AWS_ENDPOINT_URL: {error}") from None


def sqs_without_retries(settings: Settings) -> SQSClient:
    """A client that makes each call once: a call that SQS did not answer may have been heard."""
    client: SQSClient = session_for(settings).client(
        "sqs", config=client_config(settings, attempts=1)
    )
    return client


def shorten_ways(clients: AwsClients) -> None:
    """Take the processor time out of the calls that a worker makes again and again."""
    shorten(clients.sqs, "ReceiveMessage", "DeleteMessageBatch")
    shorten(clients.dynamodb, "BatchExecuteStatement", "BatchGetItem")


def _connect(settings: Settings) -> AwsClients:
    session = session_for(settings)
    config = client_config(settings)
    return AwsClients(
        s3=session.client("s3", config=config.merge(Config(signature_version="s3v4"))),
        sqs=session.client(
            "sqs", config=client_config(settings, read_timeout=LONG_POLL_SECONDS + 10)
        ),
        dynamodb=session.client("dynamodb", config=config),
        secrets=session.client("secretsmanager", config=config),
        renewals=session.client("sqs", config=client_config(settings, read_timeout=5, attempts=1)),
        credentials=session.get_credentials(),
    )
