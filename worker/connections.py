"""The connections: queues, tables, the bucket and Stripe, with the circuits that guard them.

Each is made when it is first asked for.
"""

from __future__ import annotations

import random
import secrets
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from producers.queues import Queue, QueueDirectory
from worker.availability import WatchedPages, dynamodb_probe, s3_probe
from worker.circuit import NEEDS, Circuit, Circuits, Dependency
from worker.consumer.backlog import Backlog
from worker.controls import ControlTable
from worker.ledger.cursor import Cursors
from worker.ledger.store import Ledger
from worker.listing.address import BucketAddress
from worker.listing.checkpoint import Checkpoints
from worker.listing.listing import S3Listing
from worker.listing.long_listing import LongListing
from worker.listing.pressure import Pressure
from worker.listing.s3_pages import S3Pages
from worker.measuring.incomplete_uploads import IncompleteUploads
from worker.measuring.measurer import Measurer
from worker.measuring.object_versions import ObjectVersions
from worker.metrics import Metric, Metrics
from worker.names import TableNames
from worker.prefixes import Prefixes
from worker.stripe_api.api_key import ApiKey
from worker.stripe_api.connection import TIMEOUT_SECONDS, StripeConnection
from worker.stripe_api.customers import stripe_customer_ids
from worker.stripe_api.error_reports import StripeErrorReports
from worker.stripe_api.invoices import StripeInvoices
from worker.stripe_api.metered_prices import MeteredPrices
from worker.stripe_api.pace import PacedRequests, pace
from worker.stripe_api.summaries import StripeSummaries
from worker.stripe_api.transport import KeptConnections
from worker.stripe_api.turns import Turns
from worker.tables.customers import table_customer_ids
from worker.tables.daily import DailyTable
from worker.tables.history import HistoryTable
from worker.tables.monthly import MonthlyTable
from worker.tables.together import DynamoDBTogether

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from worker.aws import AwsClients
    from worker.clock import Clock
    from worker.listing.query import Pages
    from worker.settings import Settings


# Pages of S3's listing in flight at once, of all customers together.
LIST_IN_FLIGHT = 64


class Connections:
    """What one process reaches.

    Args:
        settings: from the environment.
        clients: AWS.
        clock: the time.
    """

    def __init__(self, settings: Settings, clients: AwsClients, clock: Clock) -> None:
        self.settings = settings
        self.clients = clients
        self.clock = clock
        self.tables = TableNames(settings.table_prefix)
        self.prefixes = Prefixes(settings.input_prefix, settings.output_prefix)

    @cached_property
    def queues(self) -> QueueDirectory:
        """Where the queues are."""
        return QueueDirectory(self.clients.sqs, self.settings.queue_prefix)

    @cached_property
    def backlog(self) -> Backlog:
        """Counts what the queues hold."""
        return Backlog(self.clients.sqs, self.queues)

    @cached_property
    def metrics(self) -> Metrics:
        """Writes counts."""
        return Metrics(self.clock)

    @cached_property
    def together(self) -> DynamoDBTogether:
        """DynamoDB, for handlers that work side by side."""
        return DynamoDBTogether(
            self.clients.dynamodb, self.tables.keys, monotonic=self.clock.monotonic
        )

    @property
    def dynamodb(self) -> DynamoDBClient:
        """The same, as its client."""
        return cast("DynamoDBClient", self.together)

    @cached_property
    def daily(self) -> DailyTable:
        """The daily rows."""
        return DailyTable(self.dynamodb, self.tables.daily)

    @cached_property
    def monthly(self) -> MonthlyTable:
        """The monthly rows."""
        return MonthlyTable(self.dynamodb, self.tables.monthly)

    @cached_property
    def history(self) -> HistoryTable:
        """The application's runs."""
        return HistoryTable(self.dynamodb, self.tables.history, sleep=self.clock.sleep)

    @cached_property
    def ledger(self) -> Ledger:
        """The billing facts."""
        return Ledger(
            self.dynamodb,
            self.tables.ledger,
            tokens=lambda: secrets.token_hex(8),
            sleep=self.clock.sleep,
            failed=lambda _: self.metrics.count({Metric.SEND_FAILURE: 1}),
        )

    @cached_property
    def controls(self) -> ControlTable:
        """What an operator has paused or excluded."""
        return ControlTable(self.clients.dynamodb, self.tables.ledger, self.clock)

    @cached_property
    def cursors(self) -> Cursors:
        """How far Stripe's events have been read."""
        return Cursors(self.clients.dynamodb, self.tables.ledger)

    @cached_property
    def pages(self) -> Pages:
        """The bucket's listing, page by page."""
        pages = S3Pages(
            lambda: BucketAddress(self.clients.s3, self.clients.credentials, self.settings.bucket),
            pressure=Pressure(LIST_IN_FLIGHT),
            clock=self.clock,
            chance=random.random,
            in_flight=LIST_IN_FLIGHT,
        )
        return WatchedPages(pages, self.s3_circuit)

    @cached_property
    def listing(self) -> S3Listing:
        """Sums up prefixes of the bucket."""
        return S3Listing(self.pages, LIST_IN_FLIGHT)

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """How far long listings have got."""
        return Checkpoints(self.clients.dynamodb, self.tables.ledger)

    def measuring(self) -> LongListing:
        """Sums up the prefixes of one customer, however large."""
        return LongListing(
            survey=self.listing.survey,
            checkpoints=self.checkpoints,
            clock=self.clock,
            holder=lambda: secrets.token_hex(8),
        )

    @cached_property
    def versions(self) -> ObjectVersions:
        """What the bucket held."""
        return ObjectVersions(self.clients.s3, self.settings.bucket, self.clock)

    @cached_property
    def measurer(self) -> Measurer:
        """Measures customers."""
        counted = self.settings.incomplete_uploads == "counted"
        return Measurer(
            prefixes=self.prefixes,
            versions=self.versions,
            uploads=IncompleteUploads(self.clients.s3, self.settings.bucket) if counted else None,
            object_versions=self.settings.object_versions,
            clock=self.clock,
        )

    @cached_property
    def stripe(self) -> StripeConnection:
        """The connection to Stripe."""
        api_key = ApiKey(
            self.clients.secrets, self.settings.stripe_secret_id, self.settings.stripe_api_key
        )
        base, bucket = self.settings.stripe_api_base, pace(self.settings.stripe_share, self.clock)
        return StripeConnection(
            api_key,
            base,
            lambda: PacedRequests(KeptConnections(base, timeout=TIMEOUT_SECONDS), bucket),
        )

    @cached_property
    def circuit(self) -> Circuit:
        """Stripe's: what needs it is not received while it cannot be used."""
        return Circuit(
            Dependency.STRIPE,
            self.stripe.problem,
            self.clock,
            opened=lambda: self.metrics.count({Metric.SEND_FAILURE: 1}),
        )

    @cached_property
    def dynamodb_circuit(self) -> Circuit:
        """DynamoDB's."""
        probe = dynamodb_probe(self.clients, self.tables.ledger)
        return Circuit(Dependency.DYNAMODB, probe, self.clock)

    @cached_property
    def s3_circuit(self) -> Circuit:
        """S3's."""
        probe = s3_probe(self.clients, self.settings.bucket, self.settings.input_prefix)
        return Circuit(Dependency.S3, probe, self.clock)

    @cached_property
    def gate(self) -> Circuits:
        """Says which queues are received from."""
        needs = dict(NEEDS)
        if self.settings.customer_source == "stripe":
            # The daily tick asks Stripe who the customers are.
            needs[Queue.SCHEDULE] |= {Dependency.STRIPE}
        return Circuits((self.circuit, self.dynamodb_circuit, self.s3_circuit), needs)

    @cached_property
    def summaries(self) -> StripeSummaries:
        """What Stripe counted."""
        return StripeSummaries(self.stripe)

    @cached_property
    def metered_prices(self) -> MeteredPrices:
        """Whose usage the prices bill."""
        return MeteredPrices()

    @cached_property
    def invoices(self) -> StripeInvoices:
        """What Stripe bills."""
        grace = timedelta(hours=self.settings.stripe_grace_hours)
        return StripeInvoices(self.stripe, self.metered_prices, grace)

    @cached_property
    def error_reports(self) -> StripeErrorReports:
        """What Stripe took and did not count."""
        return StripeErrorReports(self.stripe)

    @cached_property
    def turns(self) -> Turns:
        """When meter events may be sent."""
        return Turns(self.settings.stripe_share, self.clock)

    def customer_ids(self) -> Iterator[str]:
        """Every customer's id, from the source that the settings name."""
        if self.settings.customer_source == "stripe":
            return stripe_customer_ids(self.stripe)
        return table_customer_ids(self.clients.dynamodb, self.tables.customers)
