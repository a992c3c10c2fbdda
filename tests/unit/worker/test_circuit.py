"""While Stripe cannot be used, nothing that needs it is received; a probe ends that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from producers.queues import Queue
from worker.circuit import NEEDS, Circuit, Circuits, Dependency

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
