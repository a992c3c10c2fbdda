"""What Stripe's answers mean, through the official library and over HTTP."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from infra.stripe_simulator import (
    DEFAULT_KEY,
    AcceptThen500,
    AcceptThenHang,
    AcceptThenReset,
    ApiKey,
    Match,
    Rule,
    Seed,
    SeedCustomer,
    SeedMeter,
    SettableClock,
    Status,
    StripeSimulator,
    serve,
)
from worker.circuit import Circuit, Dependency
from worker.clock import SystemClock
from worker.ledger.answer import Accepted, Answer, Door, TurnedAway, Unclear
from worker.ledger.fact import Fact, FactKind, StripeAccount
from worker.ledger.item import LedgerItem, State
from worker.stripe_api.connection import StripeConnection, StripeUnavailable
from worker.stripe_api.meter_events import StripeMeterEvents
from worker.stripe_api.transport import KeptConnections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stripe_simulator.faults import Fault

NOW = datetime(2026, 11, 1, 0, 5, tzinfo=UTC)
POST = Match(method="POST")


class FixedKey:
    """Gives one key and counts how often it was refused."""

    def __init__(self, key: str) -> None:
        self.key = SecretStr(key)
        self.forgotten = 0

    def current(self) -> SecretStr:
        return self.key

    def forget(self, refused: SecretStr) -> None:
        assert refused == self.key
        self.forgotten += 1


class Line:
    """A connection to a simulator."""

    def __init__(self, url: str, key: str = DEFAULT_KEY) -> None:
        self.http = KeptConnections(url, timeout=0.5)
        self.key = FixedKey(key)
        self.connection = StripeConnection(
            self.key,  # type: ignore[arg-type]  # has what the connection asks of a key
            url,
            http_client=lambda: self.http,
        )
        self.circuit = Circuit(Dependency.STRIPE, self.connection.problem, SystemClock())
        self.events = StripeMeterEvents(self.connection, self.circuit)

    def close(self) -> None:
        self.http.close()

    def send(self) -> Answer:
        """Send as the settlement does: after the account was asked for."""
        keyed = self.connection.keyed_client()
        keyed.account = keyed.account or StripeAccount("acct_simulator", keyed.livemode)
        return self.events.send(item(livemode=keyed.livemode), secrets.token_hex(4))


def item(*, livemode: bool = False) -> LedgerItem:
    fact = Fact(
        kind=FactKind.FILE,
        customer_id="cus_A",
        subject="run-1",
        event_name="file_processed",
        value=7,
        stamped_at=NOW,
        account=StripeAccount("acct_simulator", livemode=livemode),
        origin="{}",
    )
    return LedgerItem(
        fact=fact,
        state=State.SENDING,
        generation=1,
        fence=2,
        attempts=1,
        retries=0,
        created_at=NOW,
    )


@pytest.fixture
def simulator() -> StripeSimulator:
    made = StripeSimulator(SettableClock(NOW))
    made.seed(
        Seed(
            meters=(SeedMeter(event_name="file_processed"),),
            customers=(SeedCustomer(id="cus_A"),),
        )
    )
    return made


@pytest.fixture
def line(simulator: StripeSimulator) -> Iterator[Line]:
    with serve(simulator) as served:
        made = Line(served.url)
        yield made
        made.close()


def test_an_accepted_event_and_its_duplicate(line: Line, simulator: StripeSimulator) -> None:
    assert line.send() == Accepted()
    assert line.send() == Accepted(duplicate=True)

    (event,) = simulator.truth().counted
    assert (event.identifier, event.value, event.offers) == ("run-1", "7", 2)
    assert event.timestamp == NOW.timestamp()


@pytest.mark.parametrize(
    ("status", "door"),
    [
        (400, Door.INVALID),
        (402, Door.INVALID),
        (404, Door.INVALID),
        (401, Door.BAD_KEY),
        (403, Door.FORBIDDEN),
        (409, Door.CONFLICT),
        (429, Door.THROTTLED),
    ],
)
def test_a_call_turned_away(
    line: Line, simulator: StripeSimulator, status: int, door: Door
) -> None:
    simulator.add_faults(Rule(match=POST, fault=Status(status=status, message="Not this one.")))

    answer = line.send()

    assert isinstance(answer, TurnedAway)
    assert answer.door is door
    assert f"HTTP {status}" in answer.reason
    assert "Not this one." in answer.reason
    assert line.key.forgotten == (status == 401)


@pytest.mark.parametrize(
    "fault",
    [
        AcceptThen500(),
        AcceptThenReset(),
        AcceptThenHang(seconds=5),
        Status(status=500),
        Status(status=502),
        Status(status=503),
        Status(status=408),
        # A conflict over an idempotency key says nothing of the event itself.
        Status(status=400, type="idempotency_error"),
    ],
    ids=lambda fault: f"{fault.kind}{getattr(fault, 'status', '')}",
)
def test_a_call_whose_fate_is_open(line: Line, simulator: StripeSimulator, fault: Fault) -> None:
    simulator.add_faults(Rule(match=POST, fault=fault))

    assert isinstance(line.send(), Unclear)


def test_a_call_that_reached_nobody_was_not_sent(simulator: StripeSimulator) -> None:
    with serve(simulator) as served:
        url = served.url
    nobody = Line(url)

    answer = nobody.send()

    nobody.close()
    assert isinstance(answer, TurnedAway)
    assert answer.door is Door.NOT_SENT


@pytest.mark.parametrize("key", ["sk_live_planted4242", "sk_test_planted4242\n", "sk_test_plänted"])
def test_no_answer_shows_the_key(simulator: StripeSimulator, key: str) -> None:
    with serve(simulator) as served:
        line = Line(served.url, key)
        with pytest.raises(StripeUnavailable) as unavailable:
            line.connection.account()
        answer = line.send()
        line.close()

    assert isinstance(answer, (TurnedAway, Unclear))
    for shown in (answer.reason, str(unavailable.value), repr(line.connection.keyed_client())):
        assert "planted4" not in shown
        assert "plänted" not in shown


def test_a_restricted_key_that_may_not_ask_has_no_account(simulator: StripeSimulator) -> None:
    limited = ApiKey(
        secret=SecretStr("rk_test_limited"), permissions=frozenset({"billing_meter_event_write"})
    )
    simulator.change_settings(api_keys=[limited])
    with serve(simulator) as served:
        line = Line(served.url, "rk_test_limited")
        account = line.connection.account()
        answer = line.send()
        line.close()

    assert account == StripeAccount(None, livemode=False)
    assert answer == Accepted()


def test_a_key_that_changed_since_the_account_was_asked_for_sends_nothing(
    simulator: StripeSimulator,
) -> None:
    with serve(simulator) as served:
        line = Line(served.url)
        line.connection.account()
        line.key.key = SecretStr("sk_test_rotated")
        answer = line.events.send(item(), "token")
        line.close()

    assert isinstance(answer, TurnedAway)
    assert answer.door is Door.NOT_SENT
    assert simulator.truth().counted == ()


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (StripeAccount("acct_1", livemode=True), StripeAccount("acct_1", livemode=True), False),
        (StripeAccount("acct_1", livemode=True), StripeAccount("acct_2", livemode=True), True),
        (StripeAccount("acct_1", livemode=True), StripeAccount("acct_1", livemode=False), True),
        (StripeAccount(None, livemode=True), StripeAccount("acct_1", livemode=True), False),
        (StripeAccount(None, livemode=True), StripeAccount(None, livemode=False), True),
    ],
)
def test_accounts_contradict_only_where_it_is_certain(
    one: StripeAccount, other: StripeAccount, *, contradict: bool
) -> None:
    assert one.contradicts(other) is contradict
    assert other.contradicts(one) is contradict
