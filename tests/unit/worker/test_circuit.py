"""While Stripe cannot be used, nothing that needs it is received; a probe ends that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from producers.queues import Queue
from worker.availability import WatchedClient
from worker.circuit import NEEDS, Circuit, Circuits, Dependency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEEDS_STRIPE = {Queue.MONTHLY_BILLING, Queue.FILE_PROCESSED, Queue.STRIPE_EVENTS}


@dataclass
class HandClock:
    at: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Stripe:
    problem: str | None = "HTTP 503"
    asked: list[float] = field(default_factory=list)


def make() -> tuple[Circuit, Stripe, HandClock]:
    clock, stripe = HandClock(), Stripe()

    def probe() -> str | None:
        stripe.asked.append(clock.at)
        return stripe.problem

    return Circuit(Dependency.STRIPE, probe, clock), stripe, clock


def open_queues(circuit: Circuit) -> set[Queue]:
    return {queue for queue in Queue if Circuits((circuit,), NEEDS).lets_through(queue)}


def test_a_refused_key_stops_receiving_what_needs_stripe_and_nothing_else() -> None:
    circuit, _, _ = make()

    circuit.trip("HTTP 401")

    assert open_queues(circuit) == set(Queue) - NEEDS_STRIPE


def test_one_timeout_is_no_outage_and_five_in_a_row_are() -> None:
    circuit, _, _ = make()
    for _ in range(4):
        circuit.failed("timeout")
    circuit.succeeded()
    for _ in range(4):
        circuit.failed("timeout")

    assert open_queues(circuit) == set(Queue)
    circuit.failed("timeout")
    assert open_queues(circuit) == set(Queue) - NEEDS_STRIPE


def test_a_three_hour_outage_is_probed_ever_more_seldom_and_ends_within_a_minute() -> None:
    circuit, stripe, clock = make()
    circuit.trip("HTTP 503")

    while clock.at < 3 * 3600:
        clock.sleep(1)
        circuit.tend()
    assert len(stripe.asked) < 3 * 60 + 10
    assert circuit.is_open

    stripe.problem = None
    for _ in range(61):
        clock.sleep(1)
        circuit.tend()
    assert open_queues(circuit) == set(Queue)


def test_a_closed_circuit_asks_nothing() -> None:
    circuit, stripe, clock = make()

    clock.sleep(3600)
    circuit.tend()

    assert stripe.asked == []


def test_it_closes_on_trial_and_the_next_failure_opens_it_again_for_longer() -> None:
    circuit, stripe, clock = make()
    closed, stopped = set(Queue), set(Queue) - NEEDS_STRIPE
    circuit.trip("HTTP 503")
    stripe.problem = None
    clock.sleep(2)
    circuit.tend()
    assert open_queues(circuit) == closed

    # Given a dependency that answers its probe and nothing else, one failure is enough
    circuit.failed("timeout")
    assert open_queues(circuit) == stopped
    clock.sleep(2)
    circuit.tend()
    assert open_queues(circuit) == stopped

    # When a call succeeds, five are needed again
    clock.sleep(2)
    circuit.tend()
    circuit.succeeded()
    for _ in range(4):
        circuit.failed("timeout")
    assert open_queues(circuit) == closed


def test_a_probe_that_raises_is_one_that_failed() -> None:
    clock = HandClock()

    def probe() -> str | None:
        raise ZeroDivisionError("a defect")

    circuit = Circuit(Dependency.S3, probe, clock)
    circuit.trip("HTTP 503")
    clock.sleep(60)
    circuit.tend()

    assert circuit.is_open


def test_each_queue_waits_for_what_its_messages_need() -> None:
    open_while = {
        dependency: set(Queue) - {queue for queue in Queue if dependency in NEEDS[queue]}
        for dependency in Dependency
    }

    assert open_while == {
        Dependency.STRIPE: {Queue.SCHEDULE, Queue.DAILY_SIZING},
        Dependency.DYNAMODB: set(),
        Dependency.S3: {Queue.SCHEDULE, Queue.MONTHLY_BILLING, Queue.STRIPE_EVENTS},
    }


@pytest.mark.parametrize(
    ("status", "body", "counts"),
    [
        (200, b"{}", False),
        (400, b'{"__type": "ConditionalCheckFailedException"}', False),
        (400, b'{"__type": "ProvisionedThroughputExceededException"}', True),
        (400, b'{"__type": "ThrottlingException"}', True),
        (500, b'{"__type": "InternalServerError"}', True),
        (503, b"", True),
        (None, b"", True),
    ],
)
def test_what_a_call_to_aws_says_of_its_service(
    status: int | None, body: bytes, *, counts: bool
) -> None:
    circuit = Circuit(Dependency.DYNAMODB, lambda: None, HandClock())
    client = boto3.client(
        "dynamodb",
        "eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )

    class Raw:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield body

    def answer(**_: object) -> AWSResponse:
        if status is None:
            raise ReadTimeoutError(endpoint_url="https://dynamodb.invalid/")
        return AWSResponse("https://dynamodb.invalid/", status, HTTPHeaders(), Raw())

    hook: Callable[..., None] = cast("Callable[..., None]", answer)
    client.meta.events.register("before-send", hook)
    with WatchedClient(client, circuit):
        for _ in range(5):
            with suppress(ClientError, BotoCoreError):
                client.get_item(TableName="t", Key={"fact": {"S": "x"}})

    assert circuit.is_open is counts
