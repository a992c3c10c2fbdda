from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import stripe

from infra.stripe_simulator import (
    DEFAULT_KEY,
    Planted,
    Seed,
    SeedCustomer,
    SeedMeter,
    SeedSubscription,
    Served,
    SettableClock,
    StripeSimulator,
    serve,
)
from tests.unit.stripe_simulator.caller import Caller

START = datetime(2026, 10, 1, tzinfo=UTC)
GIB = 1 << 30


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(START)


@pytest.fixture
def simulator(clock: SettableClock) -> StripeSimulator:
    return StripeSimulator(clock)


@pytest.fixture
def planted(simulator: StripeSimulator) -> Planted:
    """Two meters; cus_a subscribes to both, cus_b to none."""
    return simulator.seed(
        Seed(
            meters=(
                SeedMeter(event_name="storage-usage", unit_amount=Decimal(10), divide_by=GIB),
                SeedMeter(event_name="file_processed", unit_amount=Decimal("0.001")),
            ),
            customers=(SeedCustomer(id="cus_a"), SeedCustomer(id="cus_b")),
            subscriptions=(SeedSubscription(customer="cus_a"),),
        )
    )


@pytest.fixture
def caller(simulator: StripeSimulator, planted: Planted) -> Caller:
    assert planted.subscriptions
    return Caller(simulator)


@pytest.fixture
def served(simulator: StripeSimulator) -> Iterator[Served]:
    with serve(simulator) as running:
        yield running


@pytest.fixture
def client(served: Served, planted: Planted) -> Iterator[stripe.StripeClient]:
    assert planted.subscriptions
    http = stripe.RequestsClient(timeout=5)
    yield stripe.StripeClient(
        DEFAULT_KEY,
        base_addresses={"api": served.url},
        max_network_retries=0,
        http_client=http,
    )
    http.close()  # type: ignore[no-untyped-call]  # the library leaves it untyped
