"""The worker as it is installed, on simulated clients, with seeded chance and without threads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from producers.fan_out import FanOut
from producers.outbox import Outbox
from tests.simulation.waiting import SimulatedSignal
from worker.aws import AwsClients
from worker.ledger.store import Ledger
from worker.listing.listing import S3Listing
from worker.measuring.object_versions import ObjectVersions
from worker.metrics import Metrics
from worker.operator_installation import OperatorInstallation
from worker.settings import Settings
from worker.tables.together import DynamoDBTogether

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

    from tests.simulation import dynamodb_client, s3, sqs_client
    from tests.simulation.process import Process
    from worker.settlement import Settlement

SETTINGS = Settings(visibility_seconds=60, claim_seconds=30)


def aws_clients(
    tables: dynamodb_client.DynamoDBClient,
    queues: sqs_client.SQSClient,
    secrets: s3.SecretsClient,
) -> AwsClients:
    """The simulated clients in the place of boto3's."""
    return AwsClients(
        s3=cast("S3Client", None),
        sqs=cast("SQSClient", queues),
        dynamodb=cast("DynamoDBClient", tables),
        secrets=cast("SecretsManagerClient", secrets),
        renewals=cast("SQSClient", queues),
        credentials=None,
    )


class NoVersions(ObjectVersions):
    """Of a bucket that keeps none."""

    def reach(self, instant: datetime) -> bool:  # noqa: ARG002 - as the product's
        """Tell nothing of the past."""
        return False


class SimulatedInstallation(OperatorInstallation):
    """One process's parts: the product's own, but for chance and threads.

    Args:
        settings: the settings.
        clients: simulated.
        process: whose; also the clock.
        bucket_pages: the listing of S3.
    """

    def __init__(
        self,
        settings: Settings,
        clients: AwsClients,
        process: Process,
        bucket_pages: s3.BucketPages,
    ) -> None:
        super().__init__(settings, clients, process)
        self._bucket_pages = bucket_pages
        self._process = process

    @cached_property
    def pages(self) -> s3.BucketPages:
        """The bucket's listing, page by page."""
        return self._bucket_pages

    @cached_property
    def versions(self) -> ObjectVersions:
        """None: the bucket keeps no versions."""
        return NoVersions(self.clients.s3, self.settings.bucket, self.clock)

    @cached_property
    def metrics(self) -> Metrics:
        """Writes none: a thousand runs would write a million lines."""
        return SilentMetrics(self.clock)

    @cached_property
    def listing(self) -> S3Listing:
        """Sums up prefixes, page after page, on the caller's fiber."""
        return S3Listing(self.pages)

    def fan_out(self, *, dry_run: bool = False) -> FanOut:
        """Sends on the caller's fiber."""
        outbox = Outbox(self.clients.sqs, sleep=self.clock.sleep, in_flight=1)
        return FanOut(None if dry_run else outbox, self.queues)

    @cached_property
    def together(self) -> DynamoDBTogether:
        """DynamoDB, for messages that are handled side by side on fibers."""
        return DynamoDBTogether(
            self.clients.dynamodb,
            self.tables.keys,
            monotonic=self._process.monotonic,
            signal=lambda: SimulatedSignal(self._process),
        )

    def token(self) -> str:
        """A random token."""
        return f"{self._process.rng.getrandbits(64):016x}"

    @cached_property
    def ledger(self) -> Ledger:
        """The billing facts."""
        return Ledger(self.dynamodb, self.tables.ledger, tokens=self.token, sleep=self.clock.sleep)

    # The wiring stays the product's: only chance is replaced.

    @cached_property
    def settlement(self) -> Settlement:
        """Brings facts to Stripe."""
        made = super().settlement
        made._tokens = self.token  # noqa: SLF001
        made._jitter = self._process.rng.random  # noqa: SLF001
        return made


class SilentMetrics(Metrics):
    """Metrics that nobody reads."""

    def count(self, counts: Mapping[str, int]) -> None:
        """Write nothing."""
