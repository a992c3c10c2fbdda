"""The engines, each for every case, and the differences that are known."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from infra.embedded_aws import EmbeddedAws
from infra.stripe_simulator import serve
from tests.integration.conftest import Clients, deploy_data_stack
from tests.parity.differences import DIFFERENCES
from tests.parity.dynamodb_engines import ServedDynamoDb, SimulatedDynamoDb, client_of
from tests.parity.dynamodb_local import DynamoDbLocal, why_not
from tests.parity.sqs_engines import ServedSqs, SimulatedSqs
from tests.parity.stripe_engines import (
    DoubledStripe,
    SimulatedStripe,
    WithoutASocket,
    over_http,
    seeded,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.integration.conftest import DataStack
    from tests.parity.dynamodb_engines import DynamoDb
    from tests.parity.sqs_engines import Sqs
    from tests.parity.stripe_engines import Stripe

# `make parity` sets it: then a missing engine is a failure.
REQUIRED = os.environ.get("REQUIRE_DYNAMODB_LOCAL") == "1"
DYNAMODB_ENGINES = ("simulation", "ministack", "dynamodb-local")
STRIPE_ENGINES = ("simulation", "core", "http")
ENGINES = {
    "db": DYNAMODB_ENGINES,
    "sqs": ("simulation", "ministack"),
    "stripe": STRIPE_ENGINES,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect every known difference, strictly: one that goes away fails until it is struck out."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            engine = str(item.callspec.params.get("engine"))
            case = item.name.replace(f"[{engine}]", "").replace(f"[{engine}-", "[")
            for name in (item.originalname, case):
                reason = DIFFERENCES.get((engine, name))
                if reason is not None:
                    item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session")
def ministack() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture(scope="session")
def ministack_dynamodb(ministack: EmbeddedAws) -> Iterator[DynamoDBClient]:
    client = client_of(ministack.url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def template_stack(ministack: EmbeddedAws) -> Iterator[DataStack]:
    """What the data template makes."""
    clients = Clients.of(ministack)
    yield deploy_data_stack(ministack, clients)
    clients.close()


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[DynamoDBClient]:
    reason = why_not()
    if reason is not None:
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    with DynamoDbLocal() as server:
        client = client_of(server.url)
        yield client
        client.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every case on every engine of what it asks for."""
    for fixture, engines in ENGINES.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize("engine", engines, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """Which engine a case runs on."""
    return str(request.param)


@pytest.fixture
def db(engine: str, request: pytest.FixtureRequest) -> Iterator[DynamoDb]:
    """An engine with the product's tables, all empty."""
    if engine == "simulation":
        yield SimulatedDynamoDb()
        return
    name = {"ministack": "ministack_dynamodb", "dynamodb-local": "dynamodb_local"}[engine]
    served = ServedDynamoDb(request.getfixturevalue(name))
    yield served
    served.close()


@pytest.fixture
def sqs(engine: str, request: pytest.FixtureRequest) -> Iterator[Sqs]:
    """An engine with one queue, empty, and its dead-letter queue."""
    if engine == "simulation":
        yield SimulatedSqs()
        return
    served = ServedSqs(request.getfixturevalue("ministack"))
    yield served
    served.close()


@contextmanager
def stripe_engine(name: str) -> Iterator[Stripe]:
    """A Stripe of its own, by its engine's name."""
    if name == "simulation":
        yield SimulatedStripe()
        return
    simulator, clock = seeded()
    if name == "core":
        yield DoubledStripe(
            simulator, clock, "http://stripe.invalid", lambda: WithoutASocket(simulator)
        )
        return
    with serve(simulator) as served, requests.Session() as session:
        session.trust_env = False
        yield DoubledStripe(simulator, clock, served.url, over_http(session))


@pytest.fixture
def stripe(engine: str) -> Iterator[Stripe]:
    """An engine with two meters and two customers."""
    with stripe_engine(engine) as made:
        yield made
