"""The installation: every part of the worker, put together from settings, clients and a clock.

This is the one place where parts meet. Each part is made when it is first asked for.
"""

from __future__ import annotations

import os
import random
import secrets
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from producers.fan_out import FanOut
from producers.outbox import Outbox
from producers.queues import Queue, QueueDirectory
from worker.availability import WatchedClient, dynamodb_probe, s3_probe
from worker.circuit import NEEDS, Circuit, Circuits, Dependency
from worker.consumer.backlog import Backlog
from worker.consumer.backoff import Backoff
from worker.consumer.consumer import Consumer, Pace
from worker.consumer.dispatch import Dispatch, Handlers
from worker.consumer.pulse import Pulse
from worker.consumer.queue_figures import QueueFigures
from worker.consumer.scale_in import ScaleInProtection
from worker.controls import ControlTable
from worker.examination import Examination
from worker.expected import ExpectedFacts, MissingRows
from worker.handlers.bill_month import BillMonthHandler
from worker.handlers.file_processed import FileProcessedHandler
from worker.handlers.settle_fact import SettleFactHandler
from worker.handlers.size_customer import SizeCustomerHandler
from worker.handlers.stripe_event import StripeEventHandler
from worker.handlers.tick import TickHandler
from worker.health import heartbeat_file
from worker.jobs import Jobs
from worker.late_refusals import LateRefusals
from worker.ledger.cursor import Cursors
from worker.ledger.fact import FactKind
from worker.ledger.store import Ledger
from worker.listing.address import BucketAddress
from worker.listing.listing import S3Listing
from worker.listing.pressure import Pressure
from worker.listing.s3_pages import S3Pages
from worker.metrics import Metric, Metrics
from worker.month_rows import MonthRows
from worker.names import TableNames
from worker.prefixes import Prefixes
from worker.reconciliation.comparison import Reconciliation
from worker.reconciliation.watch import Watch
from worker.settlement import SendPolicy, Settlement
from worker.stripe_api.api_key import ApiKey
from worker.stripe_api.connection import StripeConnection
from worker.stripe_api.customers import stripe_customer_ids
from worker.stripe_api.error_reports import StripeErrorReports
from worker.stripe_api.invoices import StripeInvoices
from worker.stripe_api.meter_events import StripeMeterEvents
from worker.stripe_api.metered_prices import MeteredPrices
from worker.stripe_api.subscriptions import StripeSubscriptions
from worker.stripe_api.summaries import StripeSummaries
from worker.stripe_api.turns import Turns
from worker.sweep import Sweep
from worker.tables.customers import table_customer_ids
from worker.tables.daily import DailyTable
from worker.tables.history import HistoryTable
from worker.tables.monthly import MonthlyTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.aws import AwsClients
    from worker.clock import Clock
    from worker.consumer.side_job import SideJob
    from worker.listing.query import Pages
    from worker.settings import Settings


# Pages of S3's listing in flight at once, of all customers together.
LIST_IN_FLIGHT = 64


class Installation:
    """Everything that one process needs, wired.

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
    def daily(self) -> DailyTable:
        """The daily rows."""
        return DailyTable(self.clients.dynamodb, self.tables.daily)

    @cached_property
    def monthly(self) -> MonthlyTable:
        """The monthly rows."""
        return MonthlyTable(self.clients.dynamodb, self.tables.monthly)

    @cached_property
    def history(self) -> HistoryTable:
        """The application's runs."""
        return HistoryTable(self.clients.dynamodb, self.tables.history)

    @cached_property
    def ledger(self) -> Ledger:
        """The billing facts."""
        return Ledger(
            self.clients.dynamodb,
            self.tables.ledger,
            tokens=lambda: secrets.token_hex(8),
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
        return S3Pages(
            lambda: BucketAddress(self.clients.s3, self.clients.credentials, self.settings.bucket),
            pressure=Pressure(LIST_IN_FLIGHT),
            clock=self.clock,
            chance=random.random,
            in_flight=LIST_IN_FLIGHT,
        )

    @cached_property
    def listing(self) -> S3Listing:
        """Sums up prefixes of the bucket."""
        return S3Listing(self.pages)

    @cached_property
    def stripe(self) -> StripeConnection:
        """The connection to Stripe."""
        api_key = ApiKey(
            self.clients.secrets, self.settings.stripe_secret_id, self.settings.stripe_api_key
        )
        return StripeConnection(api_key, self.settings.stripe_api_base)

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
    def turns(self) -> Turns:
        """When meter events may be sent."""
        return Turns(self.settings.stripe_share, self.clock)

    @cached_property
    def settlement(self) -> Settlement:
        """Brings facts to Stripe."""
        return Settlement(
            ledger=self.ledger,
            events=StripeMeterEvents(self.stripe, self.circuit),
            examination=self.examination,
            invoices=self.invoices,
            turns=self.turns,
            account=self.stripe.account,
            likely_account=self.stripe.likely_account,
            trip=self.circuit.trip,
            clock=self.clock,
            claim=timedelta(seconds=self.settings.claim_seconds),
            policy=SendPolicy(self.settings.send, self.settings.bill_from),
            controls=self.controls.current,
            tokens=lambda: secrets.token_hex(8),
            jitter=random.random,
        )

    @cached_property
    def month_rows(self) -> MonthRows:
        """Lets the usage rows follow the ledger."""
        return MonthRows(ledger=self.ledger, daily=self.daily, monthly=self.monthly)

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The ledger against Stripe."""
        return Reconciliation(
            ledger=self.ledger,
            summaries=self.summaries,
            invoices=self.invoices,
            subscriptions=StripeSubscriptions(self.stripe, self.metered_prices),
            account=self.stripe.account,
            customers=self.customer_ids,
            daily=self.daily,
            expected=ExpectedFacts(daily=self.daily, ledger=self.ledger),
            event_names={
                FactKind.STORAGE: self.settings.storage_event_name,
                FactKind.FILE: self.settings.file_event_name,
            },
            clock=self.clock,
        )

    def fan_out(self, *, dry_run: bool = False) -> FanOut:
        """Puts messages on queues, or only counts them."""
        outbox = None if dry_run else Outbox(self.clients.sqs, sleep=self.clock.sleep)
        return FanOut(outbox, self.queues)

    def jobs(self, *, dry_run: bool = False) -> Jobs:
        """What ticks and operators set going."""
        return Jobs(
            fan_out=self.fan_out(dry_run=dry_run),
            customers=self.customer_ids,
            daily=self.daily,
            ledger=self.ledger,
            cursors=self.cursors,
            sweep=Sweep(
                history=self.history,
                ledger=self.ledger,
                listing=self.listing,
                prefixes=self.prefixes,
                bucket=self.settings.bucket,
            ),
            expected=ExpectedFacts(daily=self.daily, ledger=self.ledger),
            examination=self.examination,
            reports=self.error_reports,
            clock=self.clock,
        )

    @cached_property
    def examination(self) -> Examination:
        """Asks Stripe's summaries about facts."""
        return Examination(
            ledger=self.ledger,
            summaries=self.summaries,
            account=self.stripe.account,
            clock=self.clock,
        )

    @cached_property
    def error_reports(self) -> StripeErrorReports:
        """What Stripe took and did not count."""
        return StripeErrorReports(self.stripe)

    def customer_ids(self) -> Iterator[str]:
        """Every customer's id, from the source that the settings name."""
        if self.settings.customer_source == "stripe":
            return stripe_customer_ids(self.stripe)
        return table_customer_ids(self.clients.dynamodb, self.tables.customers)

    @cached_property
    def dispatch(self) -> Dispatch:
        """Gives messages to their handlers."""
        settings = self.settings
        return Dispatch(
            Handlers(
                size_customer=SizeCustomerHandler(
                    listing=self.listing,
                    prefixes=self.prefixes,
                    daily=self.daily,
                    month_rows=self.month_rows,
                    clock=self.clock,
                    recorded=lambda: self.metrics.gather(Metric.DAILY_ROWS),
                ),
                bill_month=BillMonthHandler(
                    settlement=self.settlement,
                    daily=self.daily,
                    monthly=self.monthly,
                    month_rows=self.month_rows,
                    clock=self.clock,
                    event_name=settings.storage_event_name,
                    stamp=settings.event_timestamp,
                    grace=timedelta(hours=settings.stripe_grace_hours),
                ),
                file_processed=FileProcessedHandler(
                    settlement=self.settlement,
                    history=self.history,
                    listing=self.listing,
                    prefixes=self.prefixes,
                    fan_out=self.fan_out(),
                    clock=self.clock,
                    bucket=settings.bucket,
                    event_name=settings.file_event_name,
                ),
                tick=TickHandler(
                    jobs=self.jobs(),
                    watch=Watch(
                        reconciliation=self.reconciliation,
                        metrics=self.metrics,
                        clock=self.clock,
                    ),
                    backlog=self.backlog,
                    metrics=self.metrics,
                    missing_rows=MissingRows(self.customer_ids, self.daily),
                    clock=self.clock,
                ),
                stripe_event=StripeEventHandler(
                    reports=self.error_reports,
                    refusals=LateRefusals(self.ledger),
                    jobs=self.jobs(),
                ),
                settle_fact=SettleFactHandler(
                    settlement=self.settlement,
                    ledger=self.ledger,
                    month_rows=self.month_rows,
                    clock=self.clock,
                ),
            ),
            self.circuit,
            self.gate,
        )

    def consumer(
        self,
        consumed: Sequence[Queue] = tuple(Queue),
        *,
        until_empty: bool = False,
        side_jobs: Sequence[SideJob] = (),
    ) -> Consumer:
        """A consumer of those queues; ``until_empty`` ends it when nothing is left."""
        return Consumer(
            sqs=self.clients.sqs,
            renewing_sqs=self.clients.renewals,
            queues=self.queues,
            consumed=consumed,
            dispatch=self.dispatch,
            gate=self.gate,
            backoff=Backoff(random.random),
            clock=self.clock,
            pace=Pace(
                concurrency=self.settings.concurrency,
                visibility_seconds=self.settings.visibility_seconds,
                drain_seconds=self.settings.drain_seconds,
                until_empty=until_empty,
            ),
            side_jobs=side_jobs,
            watches=(
                WatchedClient(self.clients.dynamodb, self.dynamodb_circuit),
                WatchedClient(self.clients.s3, self.s3_circuit),
            ),
        )

    def side_jobs(self) -> tuple[SideJob, ...]:
        """What a worker does beside the messages: says how it is, and protects long work."""
        pulse = Pulse(heartbeat_file(), self.metrics, self.clock, self.settings.visibility_seconds)
        jobs: tuple[SideJob, ...] = (pulse, QueueFigures(self.backlog, self.metrics))
        # Set by ECS in every container.
        agent = os.environ.get("ECS_AGENT_URI")
        return jobs if agent is None else (*jobs, ScaleInProtection(agent, self.clock))
