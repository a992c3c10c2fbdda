"""Three hours without Stripe, DynamoDB or S3: nothing is dead-lettered, and all is billed after.

The queues and the clock are set by the test; the worker's parts, the tables, the bucket and
Stripe's HTTP are real, one thread drives them all.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError

from infra.stripe_simulator import Match, Outage, Rule, Status
from producers.instant import format_instant
from producers.queues import Queue
from tests.integration.scenario import (
    Calls,
    Scenario,
    bill_body,
    close_clients,
    counted_clients,
    file_body,
    size_body,
)
from tests.unit.consumer.queue_world import Bench, QueueWorld
from worker.availability import WatchedClient, WatchedPages
from worker.consumer.backoff import MOST_RECEIPTS
from worker.listing.errors import ListingFailed, SlowedDown, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient

    from worker.aws import AwsClients
    from worker.installation import Installation
    from worker.listing.page import Page
    from worker.listing.query import PageQuery, Pages

HOUR = 3600
OUTAGE = 3 * HOUR
CUSTOMERS = tuple(f"cus_{number}" for number in range(6))
EARLY, LATE = CUSTOMERS[:3], CUSTOMERS[3:]
READS = ("GetItem", "BatchGetItem", "Query", "Scan")


class VirtualClock:
    """The scenario's wall clock, and a monotonic one that goes with it."""

    def __init__(self, scenario: Scenario) -> None:
        self._wall = scenario.wall
        self._start = scenario.wall()

    def now(self) -> datetime:
        return self._wall()

    def monotonic(self) -> float:
        return (self._wall() - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        self._wall.advance(timedelta(seconds=seconds))


@dataclass
class Raw:
    content: bytes

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.content


@dataclass
class Service:
    """A service of AWS that can be taken away, whole or but for its reads."""

    answer: Callable[[], AWSResponse | None]
    down: bool = False
    reads: bool = False

    def take_from(self, client: BaseClient, service: str) -> None:
        def before_send(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
            spared = self.reads and _operation(request).startswith(READS)
            return self.answer() if self.down and not spared else None

        # Typed as if it returned nothing; what it returns is taken for the answer.
        hook: Callable[..., None] = cast("Callable[..., None]", before_send)
        client.meta.events.register(f"before-send.{service}", hook)


def _operation(request: AWSPreparedRequest) -> str:
    """``DynamoDB_20120810.GetItem`` says which."""
    target = request.headers["X-Amz-Target"]
    return str(target if isinstance(target, str) else target.decode()).rpartition(".")[2]


def no_connection() -> AWSResponse | None:
    raise EndpointConnectionError(endpoint_url="https://service.invalid/")


def unavailable() -> AWSResponse:
    return AWSResponse("https://service.invalid/", 503, HTTPHeaders(), Raw(b""))


def throttled() -> AWSResponse:
    code = b'{"__type": "com.amazonaws.dynamodb#ThrottlingException", "message": "slow down"}'
    return AWSResponse("https://dynamodb.invalid/", 400, HTTPHeaders(), Raw(code))


def slow_down() -> AWSResponse:
    body = b"<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>"
    return AWSResponse("https://s3.invalid/", 503, HTTPHeaders(), Raw(body))


@dataclass
class Site:
    """A worker on virtual queues, and what it received."""

    scenario: Scenario
    world: QueueWorld
    clock: VirtualClock
    clients: AwsClients
    worker: Installation
    bench: Bench
    entered: ExitStack = field(default_factory=ExitStack)

    def work(self, until: float) -> None:
        """Do what the consumer does, every two seconds; a tick comes every hour."""
        gate, tick_at = self.worker.gate, self.clock.monotonic()
        while self.clock.monotonic() < until:
            if self.clock.monotonic() >= tick_at:
                tick_at += HOUR
                self.put(Queue.SCHEDULE, tick_body(self.clock.now()))
            gate.tend()
            for queue in Queue:
                if gate.lets_through(queue):
                    self.bench.turn(queue)
            self.bench.leases.renew_due()
            self.clock.sleep(2)

    def put(self, queue: Queue, *bodies: str) -> None:
        self.world.put(self.worker.queues.name(queue), *bodies)

    def send_work_of(self, customers: tuple[str, ...]) -> None:
        day = self.clock.now().date().isoformat()
        for customer in customers:
            self.put(Queue.MONTHLY_BILLING, bill_body(customer))
            self.put(Queue.DAILY_SIZING, size_body(customer, day))
            key = f"service/output/{customer}/run-{customer}/out.csv"
            body = file_body(self.scenario.stack.bucket, key, self.clock.now())
            self.put(Queue.FILE_PROCESSED, body)


def tick_body(at: datetime) -> str:
    return (
        '{"kind": "tick", "version": 1, "job": "resolve", "scheduledTime": "'
        + format_instant(at)
        + '"}'
    )


@pytest.fixture
def site(scenario: Scenario) -> Iterator[Site]:
    clock = VirtualClock(scenario)
    world = QueueWorld(clock)
    own = counted_clients(scenario.stack, Calls())
    clients = replace(own, sqs=world.client)
    worker = scenario.installation(clients=clients)
    worker.clock = clock
    scenario.customers(*CUSTOMERS)
    for customer in CUSTOMERS:
        scenario.month(customer, "2026-10", [10, 20])
        scenario.upload(f"service/input/{customer}/run-{customer}/in.csv", 7)
        scenario.run_row(f"run-{customer}", customer)
    made = Site(
        scenario,
        world,
        clock,
        clients,
        worker,
        Bench(world, worker.dispatch, queues=worker.queues, chance=0.5),
    )
    with made.entered:
        made.entered.enter_context(WatchedClient(own.dynamodb, worker.dynamodb_circuit))
        yield made
    close_clients(own)


def live_through(site: Site, take_away: Callable[[], None], give_back: Callable[[], None]) -> None:
    """Work, lose something for three hours in which more work comes, and get it back."""
    take_away()
    site.send_work_of(EARLY)
    site.work(HOUR)
    site.send_work_of(LATE)
    site.work(OUTAGE)
    give_back()
    site.work(OUTAGE + 2 * HOUR)


def check(site: Site, *, most_receipts: int = 8) -> None:
    """Nothing is dead, nothing waits, all is billed once."""
    dead = {name: held for name, held in site.world.queues.items() if name.endswith("-dlq")}
    assert not any(dead.values()), dead
    assert not any(site.world.queues.values())
    counted = sorted((event.event_name, event.customer) for event in site.scenario.counted())
    assert counted == sorted(
        (meter, customer) for meter in ("storage-usage", "file_processed") for customer in CUSTOMERS
    )
    # Storage is of October's rows; every day that was to be measured was.
    sized = {
        row["customerId"]
        for row in site.scenario.rows("storage-usage-daily")
        if row["billingMonth"] == "2026-11"
    }
    assert sized == set(CUSTOMERS)
    assert site.world.most_receipts <= most_receipts


@pytest.mark.parametrize("status", [503, 401])
def test_three_hours_without_stripe(site: Site, status: int) -> None:
    simulator = site.scenario.simulator
    fault = Outage(status=503) if status == 503 else Status(status=401, type="authentication_error")
    live_through(
        site,
        lambda: simulator.add_faults(Rule(match=Match(), fault=fault, times=None)),
        simulator.clear_faults,
    )

    check(site)


@pytest.mark.parametrize("answer", [no_connection, unavailable, throttled])
def test_three_hours_without_dynamodb(site: Site, answer: Callable[[], AWSResponse | None]) -> None:
    service = Service(answer)
    service.take_from(site.clients.dynamodb, "dynamodb")

    live_through(
        site,
        lambda: setattr(service, "down", True),
        lambda: setattr(service, "down", False),
    )

    check(site)


@pytest.mark.parametrize("answer", [unavailable, throttled])
def test_three_hours_in_which_dynamodb_reads_and_does_not_write(
    site: Site, answer: Callable[[], AWSResponse | None]
) -> None:
    # Its circuit is closed again and again by what is read.
    service = Service(answer, reads=True)
    service.take_from(site.clients.dynamodb, "dynamodb")

    live_through(
        site,
        lambda: setattr(service, "down", True),
        lambda: setattr(service, "down", False),
    )

    check(site, most_receipts=MOST_RECEIPTS)


@dataclass
class TakenPages:
    """S3's pages, which can be taken away: a listing does not go through boto3."""

    pages: Pages
    service: Service
    error: ListingFailed

    def fetch(self, query: PageQuery) -> Page:
        if self.service.down:
            raise self.error
        return self.pages.fetch(query)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(no_connection, Unreachable("no answer")), (slow_down, SlowedDown("SlowDown"))],
)
def test_three_hours_without_s3(
    site: Site, answer: Callable[[], AWSResponse | None], error: ListingFailed
) -> None:
    service = Service(answer)
    service.take_from(site.clients.s3, "s3")
    pages = TakenPages(site.worker.pages, service, error)
    site.worker.listing._pages = WatchedPages(pages, site.worker.s3_circuit)  # noqa: SLF001 - the line to S3 is cut here

    live_through(
        site,
        lambda: setattr(service, "down", True),
        lambda: setattr(service, "down", False),
    )

    check(site)
