"""Stripe three times: simulated, our simulator's core, and the same over HTTP.

The product's own code talks to each: the seam is what it sees of Stripe.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

import stripe
from pydantic import SecretStr

from infra.stripe_simulator import (
    DEFAULT_KEY,
    AcceptThen500,
    AcceptThenHang,
    AcceptThenReset,
    Deliver,
    Drop,
    HangWithoutAccepting,
    LateAccept,
    Match,
    Request,
    Rule,
    Seed,
    SeedCustomer,
    SeedMeter,
    SettableClock,
    Status,
    StripeSimulator,
)
from tests.integration.scenario import WorkerClock
from tests.parity.fibre import Calm
from tests.simulation.fates import Fate
from tests.simulation.stripe_line import StripeLine, StripeSeen
from tests.simulation.stripe_world import StripeWorld
from worker.circuit import Circuit, Dependency
from worker.stripe_api.api_key import ApiKey
from worker.stripe_api.connection import TIMEOUT_SECONDS, StripeConnection
from worker.stripe_api.error_reports import StripeErrorReports
from worker.stripe_api.meter_events import StripeMeterEvents
from worker.stripe_api.summaries import StripeSummaries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from infra.stripe_simulator.faults import Fault
    from worker.ledger.answer import Answer
    from worker.ledger.item import LedgerItem

NOW = datetime(2026, 11, 1, 0, 5, tzinfo=UTC)
METERS = ("storage-usage", "file_processed")
CUSTOMERS = ("cus_a", "cus_b")
_ASK = timedelta(hours=1)
_NEVER_FINAL = 1e9


class Lie(Enum):
    """What may become of a call: the simulation's fate, and the rule that makes it so."""

    ACCEPTED_THEN_500 = (Fate.ACCEPTED_THEN_500, AcceptThen500())
    ACCEPTED_THEN_HANGS = (Fate.ACCEPTED_THEN_HANGS, AcceptThenHang(seconds=0.02))
    ACCEPTED_THEN_RESET = (Fate.ACCEPTED_THEN_RESET, AcceptThenReset())
    DROPPED = (Fate.DROPPED, Drop())
    HANGS = (Fate.HANGS, HangWithoutAccepting(seconds=0.02))
    LANDS_LATE = (Fate.LANDS_LATE, LateAccept(seconds=60))
    THROTTLED = (Fate.THROTTLED, Status(status=429, type="invalid_request_error"))
    CONFLICT = (
        Fate.CONFLICT,
        Status(status=409, type="invalid_request_error", code="lock_timeout"),
    )
    BAD_KEY = (Fate.BAD_KEY, Status(status=401, type="invalid_request_error"))
    FORBIDDEN = (Fate.FORBIDDEN, Status(status=403, type="invalid_request_error"))
    SERVER_ERROR = (Fate.SERVER_ERROR, Status(status=500))
    INVALID = (Fate.INVALID, Status(status=400, type="invalid_request_error"))

    @property
    def fate(self) -> Fate:
        fate: Fate = self.value[0]
        return fate

    @property
    def rule(self) -> Rule:
        fault: Fault = self.value[1]
        return Rule(fault=fault, match=Match(method="POST"))


class Stripe(Protocol):
    """An engine with two meters and two customers, at :data:`NOW`."""

    def send(self, item: LedgerItem) -> Answer:
        """One call for an item."""

    def counted(self, customer: str, event_name: str, start: datetime, end: datetime) -> int:
        """The sum that Stripe shows."""

    def refused(self) -> list[str]:
        """The identifiers that reports name, oldest report first."""

    def refuse(self, identifier: str) -> None:
        """Have an event refused that was taken; a report follows."""

    def lie(self, lie: Lie) -> None:
        """Decide what becomes of the next call."""

    def pass_time(self, by: timedelta) -> None:
        """Let time pass."""


class SimulatedStripe:
    """The simulation's, in calm weather."""

    def __init__(self) -> None:
        self._calm = calm = Calm(NOW.timestamp())
        self._world = StripeWorld(calm.scheduler, calm.faults, calm.weather, _NEVER_FINAL)
        self._way = _Scripted(calm)
        self._line = StripeSeen(self._way, self._world)

    def send(self, item: LedgerItem) -> Answer:
        return self._calm.call(lambda: self._line.send(item, "token"))

    def counted(self, customer: str, event_name: str, start: datetime, end: datetime) -> int:
        return self._calm.call(lambda: self._line.counted(event_name, customer, start, end))

    def refused(self) -> list[str]:
        # A report comes hours after the refusal.
        self.pass_time(timedelta(hours=3))
        reports = self._calm.call(lambda: list(self._line.since(NOW - _ASK)))
        return [named.identifier for report in reversed(reports) for named in report.named]

    def refuse(self, identifier: str) -> None:
        newest = [event for event in self._world.events if event.identifier == identifier][-1]
        self._world.refuse(newest)

    def lie(self, lie: Lie) -> None:
        self._way.next.append(lie.fate)

    def pass_time(self, by: timedelta) -> None:
        self._calm.pass_time(by.total_seconds())


class _Scripted(StripeLine):
    """A line on which what was asked for becomes of the next call."""

    def __init__(self, calm: Calm) -> None:
        super().__init__(calm.process, ())
        self.next: list[Fate] = []

    def fate(self, *, reads: bool = False) -> Fate:
        return self.next.pop() if self.next and not reads else Fate.ANSWERED


class DoubledStripe:
    """The product's Stripe code on our simulator.

    Args:
        simulator: it.
        clock: its clock.
        url: where it listens.
        http_client: what carries requests there.
    """

    def __init__(
        self,
        simulator: StripeSimulator,
        clock: SettableClock,
        url: str,
        http_client: Callable[[], stripe.HTTPClient],
    ) -> None:
        self._simulator, self._clock = simulator, clock
        # With a key given, no secret is asked for.
        key = ApiKey(cast("SecretsManagerClient", None), "", SecretStr(DEFAULT_KEY))
        connection = StripeConnection(key, url, http_client=http_client)
        connection.account()
        circuit = Circuit(Dependency.STRIPE, lambda: None, WorkerClock(clock))
        self._events = StripeMeterEvents(connection, circuit)
        self._summaries = StripeSummaries(connection)
        self._reports = StripeErrorReports(connection)
        self._account = connection.account
        self._calls = 0

    def send(self, item: LedgerItem) -> Answer:
        self._account()
        self._calls += 1
        return self._events.send(item, str(self._calls))

    def counted(self, customer: str, event_name: str, start: datetime, end: datetime) -> int:
        return self._summaries.counted(event_name, customer, start, end)

    def refused(self) -> list[str]:
        self.pass_time(timedelta(hours=3))
        reports = list(self._reports.since(NOW - _ASK))
        return [named.identifier for report in reversed(reports) for named in report.named]

    def refuse(self, identifier: str) -> None:
        self._simulator.refuse(identifier)

    def lie(self, lie: Lie) -> None:
        self._simulator.add_faults(lie.rule)

    def pass_time(self, by: timedelta) -> None:
        self._clock.advance(by)


def seeded() -> tuple[StripeSimulator, SettableClock]:
    """Our simulator with the meters and the customers."""
    clock = SettableClock(NOW)
    simulator = StripeSimulator(clock)
    simulator.seed(
        Seed(
            meters=tuple(SeedMeter(event_name=name, unit_amount=Decimal(1)) for name in METERS),
            customers=tuple(SeedCustomer(id=customer) for customer in CUSTOMERS),
        )
    )
    return simulator, clock


def over_http(session: requests.Session) -> Callable[[], stripe.HTTPClient]:
    """The library's own transport, on a session that the test closes."""
    return lambda: stripe.RequestsClient(timeout=TIMEOUT_SECONDS, session=session)


class WithoutASocket(stripe.HTTPClient):
    """Carries requests to the simulator's core by a call."""

    name = "core"

    def __init__(self, simulator: StripeSimulator) -> None:
        super().__init__()
        self._simulator = simulator

    def request(  # type: ignore[override]  # the library's own two signatures disagree
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: str | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Answer, or lose the connection as the simulator says."""
        asked = urlsplit(url)
        response = self._simulator.handle(
            Request(
                method.upper(),
                asked.path,
                asked.query.encode(),
                (post_data or "").encode(),
                {name.lower(): value for name, value in (headers or {}).items()},
            )
        )
        if not isinstance(response.delivery, Deliver):
            lost: Callable[[str], Exception] = stripe.APIConnectionError
            raise lost("The connection was lost")
        self._simulator.finished(response)
        return response.body, response.status, response.headers

    def close(self) -> None:
        """Nothing is open."""
