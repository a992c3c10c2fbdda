"""The worker as it is installed, on simulated clients, with seeded chance and without threads."""

from __future__ import annotations

import logging
import sys
import traceback
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast
from unittest.mock import patch

import structlog

import worker.stripe_api.turns
from producers.fan_out import FanOut
from producers.outbox import Outbox
from tests.simulation.fiber_lock import FiberThreading
from worker.aws import AwsClients
from worker.ledger.store import Ledger
from worker.listing.listing import S3Listing
from worker.measuring.object_versions import ObjectVersions
from worker.metrics import Metrics
from worker.operator_installation import OperatorInstallation
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Self

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

    from tests.simulation import dynamodb_client, s3, sqs_client
    from tests.simulation.process import Process
    from tests.simulation.stripe_line import StripeSeen
    from worker.adjusting import Adjusting
    from worker.ledger.answer import Answer
    from worker.ledger.item import LedgerItem
    from worker.reconciliation.comparison import Reconciliation
    from worker.resending import Resending
    from worker.settlement import Settlement
    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.error_reports import StripeErrorReports
    from worker.stripe_api.invoices import StripeInvoices
    from worker.stripe_api.meter_events import StripeMeterEvents
    from worker.stripe_api.summaries import StripeSummaries

    T = TypeVar("T")
    S = TypeVar("S")

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
    """One process's parts: the product's own, but for chance, threads and the line to Stripe.

    Args:
        settings: the settings.
        clients: simulated.
        process: whose; also the clock.
        seen: Stripe.
        bucket_pages: the listing of S3.
    """

    def __init__(
        self,
        settings: Settings,
        clients: AwsClients,
        process: Process,
        seen: StripeSeen,
        bucket_pages: s3.BucketPages,
    ) -> None:
        super().__init__(settings, clients, process)
        self._bucket_pages = bucket_pages
        self._process = process
        self._seen = seen

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

    def token(self) -> str:
        """A random token."""
        return f"{self._process.rng.getrandbits(64):016x}"

    @cached_property
    def ledger(self) -> Ledger:
        """The billing facts."""
        return Ledger(self.clients.dynamodb, self.tables.ledger, tokens=self.token)

    @cached_property
    def summaries(self) -> StripeSummaries:
        """What Stripe counted."""
        return cast("StripeSummaries", self._seen)

    @cached_property
    def error_reports(self) -> StripeErrorReports:
        """What Stripe took and did not count."""
        return cast("StripeErrorReports", self._seen)

    @cached_property
    def invoices(self) -> StripeInvoices:
        """What Stripe bills."""
        return cast("StripeInvoices", self._seen)

    @cached_property
    def stripe(self) -> StripeConnection:
        """Says whose key it is."""
        return cast("StripeConnection", self._seen)

    # The wiring stays the product's: only the line to Stripe and chance are replaced.

    @cached_property
    def settlement(self) -> Settlement:
        """Brings facts to Stripe."""
        made = super().settlement
        noted = cast("StripeMeterEvents", made._events)._noted  # noqa: SLF001
        made._events = NotedLine(self._seen, noted)  # noqa: SLF001
        made._tokens = self.token  # noqa: SLF001
        made._jitter = self._process.rng.random  # noqa: SLF001
        return made

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The ledger against Stripe."""
        made = super().reconciliation
        made._subscriptions = self._seen  # noqa: SLF001
        return made

    @property
    def adjusting(self) -> Adjusting:
        """Corrects and cancels what was billed."""
        made = super().adjusting
        made._customer_problem = self._seen.customer_problem  # noqa: SLF001
        return made

    @property
    def resending(self) -> Resending:
        """Starts the next generation of a fact."""
        made = super().resending
        made._customer_problem = self._seen.customer_problem  # noqa: SLF001
        return made


class SilentMetrics(Metrics):
    """Metrics that nobody reads."""

    def count(self, counts: Mapping[str, int]) -> None:
        """Write nothing."""


class NotedLine:
    """The line to Stripe, each answer of which the circuit is told of."""

    def __init__(self, line: StripeSeen, noted: Callable[[Answer], Answer]) -> None:
        self._line = line
        self._noted = noted

    def send(self, item: LedgerItem, token: str) -> Answer:
        """Make one call."""
        return self._noted(self._line.send(item, token))


class InlinePool:
    """A pool without threads: what is submitted is done at once, on the caller's fiber."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function: Callable[[S], T], *given: Iterable[S]) -> Iterator[T]:
        """One after the other."""
        return iter([function(*arguments) for arguments in zip(*given, strict=True)])

    def submit(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """Do it now."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - as a pool keeps it
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None:
        """Nothing is under way."""


@contextmanager
def silenced() -> Iterator[None]:
    """Log nothing but defects and start no threads, for as long as runs are made."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        processors=[_only_defects],
        cache_logger_on_first_use=False,
    )
    try:
        with ExitStack() as patches:
            for name, module in list(sys.modules.items()):
                if name.startswith("worker.") and hasattr(module, "ThreadPoolExecutor"):
                    patches.enter_context(patch.object(module, "ThreadPoolExecutor", InlinePool))
            turns = patch.object(worker.stripe_api.turns, "threading", FiberThreading)
            patches.enter_context(turns)
            yield
    finally:
        structlog.configure(**before)


DEFECTS: list[str] = []
"""What handlers raised without meaning to, in the run under way."""


def _only_defects(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if event.get("action") == "handler_failed":
        DEFECTS.append(traceback.format_exc())
    raise structlog.DropEvent
