"""A month's storage: billed once, for the right bytes, and written down everywhere."""

from __future__ import annotations

import random
import secrets
import threading
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from infra.stripe_simulator import (
    DEFAULT_KEY,
    AcceptThen500,
    AcceptThenHang,
    AcceptThenReset,
    ApiKey,
    Delay,
    Drop,
    LateAccept,
    Match,
    Outage,
    Rule,
    RunningClock,
    SettableClock,
    Status,
    StripeSimulator,
)
from producers.billing_month import BillingMonth
from producers.messages import BillCustomerMonth
from producers.queues import Queue
from tests.integration.scenario import (
    Calls,
    Crash,
    Scenario,
    bill_body,
    close_clients,
    counted_clients,
    last_month,
    wait_until,
)
from worker.outcome import DeadLetter, Done, Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stripe_simulator.faults import Fault
    from worker.ledger.item import LedgerItem

EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")
KEY = "storage-usage#cus_A#2026-10"
IDENTIFIER = "storage-usage:cus_A:2026-10"
OCTOBER = 31


def billed_month(scenario: Scenario, customer: str = "cus_A", month: str = "2026-10") -> None:
    """Everything about the month says that it was billed once."""
    events = scenario.counted(customer)
    assert [event.identifier for event in events] == [f"storage-usage:{customer}:{month}"]
    fact = scenario.fact(f"storage-usage#{customer}#{month}")
    assert fact is not None
    assert fact["state"] in {"sent", "confirmed"}
    assert events[0].value == str(fact["value"])
    row = scenario.month_of(customer, month)
    assert row is not None
    assert row["billingStatus"] == "billed"
    assert row["stripeMeterStatus"] == "success"
    assert row["stripeMeterEventId"] == events[0].identifier
    assert row["stripeMeterAmount"] == fact["value"]
    for day in scenario.days_of(customer):
        if day["billingMonth"] == month:
            assert day["billingStatus"] == "billed", day
            assert day["stripeMeterEventId"] == events[0].identifier
            assert 1 < int(str(day["ledgerFence"])) <= int(str(fact["fence"]))


# --- What is billed ---------------------------------------------------------------------------


def test_a_month_is_billed_for_its_average_on_its_last_minute(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [day * 10**12 for day in range(1, OCTOBER + 1)])
    scenario.day("cus_A", "2026-09-30", 7)
    scenario.day("cus_A", "2026-11-01", 9)

    outcome = scenario.handle(bill_body("cus_A"))

    assert isinstance(outcome, Done)
    billed_month(scenario)
    (event,) = scenario.counted("cus_A")
    assert event.value == str(16 * 10**12)
    assert event.timestamp == datetime(2026, 10, 31, 23, 59, tzinfo=UTC).timestamp()
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert row["averageStorageBytes"] == 16 * 10**12
    assert row["peakStorageBytes"] == 31 * 10**12
    assert row["dailyUsageSum"] == 496 * 10**12
    assert row["totalStorageDays"] == OCTOBER
    assert row["ttl"] == datetime(2031, 10, 31, tzinfo=UTC).timestamp()
    assert "notes" not in row
    others = [day for day in scenario.days_of("cus_A") if day["billingMonth"] != "2026-10"]
    assert [day["billingStatus"] for day in others] == ["pending", "pending"]
    assert all("ledgerFence" not in day for day in others)


def test_a_missing_day_is_left_out_and_named(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    for day in range(1, OCTOBER + 1):
        if day not in {7, 30}:
            scenario.day("cus_A", f"2026-10-{day:02}", 29)

    scenario.handle(bill_body("cus_A"))

    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert row["totalStorageDays"] == 29
    assert row["averageStorageBytes"] == 29
    assert row["notes"] == "days without a row, not in the average: 2026-10-07, 2026-10-30"


def test_a_february_of_29_days(scenario: Scenario, wall: SettableClock) -> None:
    wall.set(datetime(2028, 3, 1, 2, tzinfo=UTC))
    scenario.customers("cus_A")
    scenario.month("cus_A", "2028-02", [10] * monthrange(2028, 2)[1])

    scenario.handle(bill_body("cus_A", "2028-02"))

    billed_month(scenario, month="2028-02")
    (event,) = scenario.counted("cus_A")
    assert event.timestamp == datetime(2028, 2, 29, 23, 59, tzinfo=UTC).timestamp()
    row = scenario.month_of("cus_A", "2028-02")
    assert row is not None
    assert row["totalStorageDays"] == 29
    assert "notes" not in row


def test_an_average_of_zero_is_billed_without_an_event(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [0] * OCTOBER)

    assert isinstance(scenario.handle(bill_body("cus_A")), Done)

    assert scenario.counted() == ()
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert (row["billingStatus"], row["stripeMeterStatus"]) == ("billed", "success")
    assert row["stripeMeterAmount"] == 0
    assert "stripeMeterEventId" not in row
    assert {day["billingStatus"] for day in scenario.days_of("cus_A")} == {"billed"}
    assert all("stripeMeterEventId" not in day for day in scenario.days_of("cus_A"))


@pytest.mark.parametrize("held", [10**15 - 1, 10**15])
def test_stripe_takes_fifteen_digits_and_no_more(scenario: Scenario, held: int) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [held])

    outcome = scenario.handle(bill_body("cus_A"))

    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    if held < 10**15:
        billed_month(scenario)
        return
    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "Rejected"
    assert "15 significant digits" in outcome.reason
    assert scenario.counted() == ()
    assert (row["billingStatus"], row["stripeMeterStatus"]) == ("failed", "failed")
    assert "15 significant digits" in str(row["notes"])
    assert [day["billingStatus"] for day in scenario.days_of("cus_A")] == ["failed"]


def test_the_event_can_be_stamped_now(scenario: Scenario, wall: SettableClock) -> None:
    wall.set(datetime(2026, 11, 1, 2, 0, 17, 500_000, tzinfo=UTC))
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])

    scenario.handle(bill_body("cus_A"), worker=scenario.installation(event_timestamp="now"))

    (event,) = scenario.counted("cus_A")
    assert event.timestamp == datetime(2026, 11, 1, 2, 0, 17, tzinfo=UTC).timestamp()


def test_the_average_over_the_calendar_is_frozen_with_the_month(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    # Came on the 20th: twelve days of 31.
    for day in range(20, 32):
        scenario.day("cus_A", f"2026-10-{day}", 31_000)
    calendar = scenario.installation(average_over="calendar")

    assert isinstance(scenario.handle(bill_body("cus_A"), worker=calendar), Done)
    # A replay under the other policy computes nothing anew.
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)

    (event,) = scenario.counted("cus_A")
    assert int(event.value) == 12_000
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert (row["averageStorageBytes"], row["totalStorageDays"]) == (12_000, 12)
    assert "averaged over all 31 days of the calendar" in str(row["notes"])
    assert "counted as nothing held: 2026-10-01" in str(row["notes"])
    statement = scenario.worker.statements.of_customer("cus_A", BillingMonth.parse("2026-10"))
    assert not statement.rows_differ
    assert statement.basis is not None
    assert statement.basis.divisor == 31


def test_a_customer_who_leaves_is_averaged_over_the_calendar_up_to_the_last_day(
    scenario: Scenario, wall: SettableClock
) -> None:
    wall.set(datetime(2026, 10, 10, 12, tzinfo=UTC))
    scenario.customers("cus_A")
    scenario.day("cus_A", "2026-10-09", 1_000)
    body = BillCustomerMonth(
        customer_id="cus_A", billing_month="2026-10", through=date(2026, 10, 10)
    ).body()

    scenario.handle(body, worker=scenario.installation(average_over="calendar"))

    (event,) = scenario.counted("cus_A")
    assert int(event.value) == 100


@pytest.mark.parametrize(("hours", "warned"), [(1, True), (72, False)])
def test_a_send_after_the_grace_period_is_warned_of(
    scenario: Scenario,
    wall: SettableClock,
    capsys: pytest.CaptureFixture[str],
    hours: int,
    warned: bool,  # noqa: FBT001 - a parameter of the case
) -> None:
    wall.set(datetime(2026, 11, 1, 2, tzinfo=UTC))
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])

    scenario.handle(bill_body("cus_A"), worker=scenario.installation(stripe_grace_hours=hours))

    assert ("send_after_grace" in "".join(capsys.readouterr())) is warned


def test_a_month_that_others_billed_is_not_billed_again(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.put(
        "storage-usage-monthly",
        {
            "customerId": "cus_A",
            "billingMonth": "2026-10",
            "billingStatus": "billed",
            "stripeMeterEventId": "theirs",
        },
    )

    outcome = scenario.handle(bill_body("cus_A"))

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "BilledElsewhere"
    assert "theirs" in outcome.reason
    assert scenario.counted() == ()
    assert scenario.fact(KEY) is None


def test_the_frozen_value_stands_when_a_row_changes_later(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [10, 20])
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=429)))
    assert isinstance(scenario.handle(bill_body("cus_A")), Retry)
    scenario.day("cus_A", "2026-10-01", 1_000)
    scenario.wall.advance(timedelta(minutes=1))

    assert isinstance(scenario.handle(bill_body("cus_A")), Done)

    (event,) = scenario.counted("cus_A")
    assert event.value == "15"
    assert "value_differs" in "".join(capsys.readouterr())
    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert "the rows now sum to 1020 bytes; billed was the average of 30" in str(row["notes"])


def test_a_damaged_row_stops_the_month_before_anything_is_sent(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [10, 20])
    scenario.put(
        "storage-usage-daily",
        {"customerId": "cus_A", "date": "2026-10-03", "totalStorageBytes": "many"},
    )

    outcome = scenario.handle(bill_body("cus_A"))

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "MalformedRow"
    assert "2026-10-03" in outcome.reason
    assert scenario.fact(KEY) is None
    assert scenario.counted() == ()


# --- Once, however often it is asked ----------------------------------------------------------


def test_a_month_asked_for_again_is_billed_once(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5, 6])
    scenario.handle(bill_body("cus_A"))
    days, month = scenario.days_of("cus_A"), scenario.month_of("cus_A", "2026-10")
    scenario.wall.advance(timedelta(days=3))

    assert isinstance(scenario.handle(bill_body("cus_A"), worker=scenario.installation()), Done)

    billed_month(scenario)
    assert scenario.counted("cus_A")[0].offers == 1
    assert scenario.days_of("cus_A") == days
    again = scenario.month_of("cus_A", "2026-10")
    assert month is not None
    assert again is not None
    # Stripe's confirmation moves the fence, and nothing that people read.
    assert again | {"ledgerFence": 0} == month | {"ledgerFence": 0}


def test_two_workers_at_once_send_one_event(scenario: Scenario) -> None:
    customers = [f"cus_{number}" for number in range(6)]
    scenario.customers(*customers)
    for customer in customers:
        scenario.month(customer, "2026-10", [5, 6, 7])
    both = threading.Barrier(2)

    def work(order: list[str]) -> None:
        worker = scenario.installation()
        both.wait(10)
        for customer in order:
            scenario.handle(bill_body(customer), worker=worker)

    threads = [
        threading.Thread(target=work, args=(order,)) for order in (customers, list(customers))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    scenario.wall.advance(timedelta(minutes=2))

    for customer in customers:
        assert isinstance(scenario.finish(bill_body(customer)), Done)
        billed_month(scenario, customer)
        assert scenario.counted(customer)[0].offers == 1


def test_a_worker_that_finds_a_claim_comes_back_and_sends_nothing(
    crashing: tuple[Scenario, Calls],
) -> None:
    scenario, calls = crashing
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    calls.arm("stripe POST billing/meter_events", after=True)
    assert crash(scenario, calls, bill_body("cus_A"))

    outcome = scenario.handle(bill_body("cus_A"))

    assert isinstance(outcome, Retry)
    assert "claim" in outcome.reason
    assert not outcome.limited
    assert len(scenario.counted()) == 1
    scenario.wall.advance(timedelta(seconds=30))
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    billed_month(scenario)
    assert scenario.counted("cus_A")[0].offers == 2


# --- What Stripe answers ----------------------------------------------------------------------


def test_an_unknown_customer_is_accepted_now(scenario: Scenario) -> None:
    scenario.month("cus_nobody", "2026-10", [5])

    assert isinstance(scenario.handle(bill_body("cus_nobody")), Done)

    fact = scenario.fact("storage-usage#cus_nobody#2026-10")
    assert fact is not None
    assert fact["state"] == "sent"
    assert [event.customer for event in scenario.simulator.truth().refused] == ["cus_nobody"]


@pytest.mark.parametrize("status", [409, 429])
def test_a_throttled_call_is_made_again(scenario: Scenario, status: int) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.simulator.add_faults(
        Rule(match=EVENTS, fault=Status(status=status, code="lock_timeout"))
    )

    outcome = scenario.handle(bill_body("cus_A"))

    assert isinstance(outcome, Retry)
    fact, row = scenario.fact(KEY), scenario.month_of("cus_A", "2026-10")
    assert fact is not None
    assert row is not None
    assert fact["state"] == "planned"
    assert (row["billingStatus"], row["stripeMeterStatus"]) == ("pending", "pending")
    scenario.wall.advance(timedelta(seconds=outcome.after or 0))
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    billed_month(scenario)


def test_a_refusal_at_the_door_is_dead_lettered_and_written_down(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5, 6])
    scenario.simulator.add_faults(
        Rule(match=EVENTS, fault=Status(status=400, message="This meter takes no such event."))
    )
    scenario.send(Queue.MONTHLY_BILLING, bill_body("cus_A"))

    scenario.drain(Queue.MONTHLY_BILLING)

    (letter,) = scenario.letters(Queue.MONTHLY_BILLING)
    assert letter.body == bill_body("cus_A")
    assert letter.error_type == "Rejected"
    assert "This meter takes no such event." in letter.reason
    fact, row = scenario.fact(KEY), scenario.month_of("cus_A", "2026-10")
    assert fact is not None
    assert row is not None
    assert fact["state"] == "rejected"
    assert (row["billingStatus"], row["stripeMeterStatus"]) == ("failed", "failed")
    assert "This meter takes no such event." in str(row["notes"])
    assert "stripeMeterEventId" not in row
    assert [day["billingStatus"] for day in scenario.days_of("cus_A")] == ["failed", "failed"]


OPEN_ENDED: tuple[Fault, ...] = (
    AcceptThen500(),
    AcceptThenReset(),
    AcceptThenHang(seconds=0.1),
    Drop(),
    LateAccept(seconds=20 * 60),
)


@pytest.mark.parametrize("fault", OPEN_ENDED, ids=lambda fault: fault.kind)
def test_an_open_ended_call_is_made_again_under_its_identifier(
    scenario: Scenario, fault: Fault
) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=fault))

    assert isinstance(scenario.handle(bill_body("cus_A")), Retry)

    fact, row = scenario.fact(KEY), scenario.month_of("cus_A", "2026-10")
    assert fact is not None
    assert row is not None
    assert fact["state"] == "unknown"
    assert row["billingStatus"] == "pending"
    assert isinstance(scenario.finish(bill_body("cus_A")), Done)
    scenario.wall.advance(timedelta(hours=1))
    billed_month(scenario)
    posts = [seen for seen in scenario.simulator.requests() if seen.method == "POST"]
    keys = [seen.idempotency_key or "" for seen in posts if seen.delivery != "late"]
    assert len(set(keys)) == len(keys) == 2
    assert all(key.startswith(IDENTIFIER) for key in keys)


@pytest.mark.parametrize("status", [400, 401, 403, 409, 429])
def test_no_refusal_after_an_open_ended_call_is_believed(scenario: Scenario, status: int) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.simulator.add_faults(
        Rule(match=EVENTS, fault=AcceptThenReset()),
        Rule(match=EVENTS, fault=Status(status=status)),
    )
    scenario.handle(bill_body("cus_A"))
    scenario.wall.advance(timedelta(minutes=1))

    outcome = scenario.handle(bill_body("cus_A"))

    assert isinstance(outcome, Retry)
    fact = scenario.fact(KEY)
    assert fact is not None
    assert fact["state"] == "unknown"
    assert fact["attempts"] == 2
    assert isinstance(scenario.finish(bill_body("cus_A")), Done)
    billed_month(scenario)


def test_an_open_fate_is_never_sent_again_after_23_hours(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=AcceptThenReset()))
    scenario.handle(bill_body("cus_A"))
    scenario.wall.advance(timedelta(hours=23))

    scenario.handle(bill_body("cus_A"))

    (event,) = scenario.counted("cus_A")
    assert event.offers == 1


def test_a_pause_between_claim_and_call_sends_nothing(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    ledger = scenario.worker.ledger
    claim = ledger.claim

    def claim_and_stand_still(seen: LedgerItem, wanted: LedgerItem) -> LedgerItem:
        monkeypatch.undo()
        held = claim(seen, wanted)
        scenario.clock.stood_still += 61
        return held

    monkeypatch.setattr(ledger, "claim", claim_and_stand_still)

    outcome = scenario.handle(bill_body("cus_A"))

    assert isinstance(outcome, Retry)
    assert scenario.counted() == ()
    fact = scenario.fact(KEY)
    assert fact is not None
    assert fact["state"] == "planned"
    assert isinstance(scenario.finish(bill_body("cus_A")), Done)
    billed_month(scenario)


def test_an_outage_of_stripe_dead_letters_nothing(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.simulator.add_faults(Rule(fault=Outage(status=503)))

    for receipts in range(1, 20):
        outcome = scenario.handle(bill_body("cus_A"), receipts=receipts)
        assert not isinstance(outcome, DeadLetter), receipts
        scenario.wall.advance(timedelta(minutes=10))

    scenario.simulator.clear_faults()
    assert isinstance(scenario.finish(bill_body("cus_A")), Done)
    billed_month(scenario)


# --- Keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        ApiKey(secret=SecretStr("sk_test_other"), account="acct_other"),
        ApiKey(secret=SecretStr("sk_live_other")),
    ],
    ids=["account", "mode"],
)
def test_another_accounts_key_refuses_the_fact(scenario: Scenario, other: ApiKey) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.simulator.add_faults(Rule(match=EVENTS, fault=Status(status=429)))
    assert isinstance(scenario.handle(bill_body("cus_A")), Retry)
    scenario.simulator.change_settings(api_keys=[ApiKey(secret=SecretStr(DEFAULT_KEY)), other])
    scenario.wall.advance(timedelta(minutes=1))

    outcome = scenario.handle(
        bill_body("cus_A"), worker=scenario.installation(stripe_api_key=other.secret)
    )

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "OtherAccount"
    assert "acct_simulator (test)" in outcome.reason
    assert scenario.counted() == ()
    assert isinstance(scenario.finish(bill_body("cus_A")), Done)
    billed_month(scenario)


def test_a_rotated_key_is_read_again_after_a_401(scenario: Scenario) -> None:
    scenario.customers("cus_A", "cus_B")
    scenario.month("cus_A", "2026-10", [5])
    scenario.month("cus_B", "2026-10", [5])
    secrets = scenario.stack.clients.secrets
    secret = scenario.stack.secret_id
    secrets.put_secret_value(
        SecretId=secret, SecretString=f'{{"STRIPE_SECRET_KEY": "{DEFAULT_KEY}"}}'
    )
    worker = scenario.installation(stripe_api_key=None)
    assert isinstance(scenario.handle(bill_body("cus_A"), worker=worker), Done)
    scenario.simulator.change_settings(api_keys=[{"secret": "sk_test_rotated"}])
    secrets.put_secret_value(
        SecretId=secret, SecretString='{"STRIPE_SECRET_KEY": "sk_test_rotated"}'
    )

    outcome = scenario.handle(bill_body("cus_B"), worker=worker)

    assert isinstance(outcome, Retry)
    assert "401" in outcome.reason
    assert isinstance(scenario.finish(bill_body("cus_B"), worker=worker), Done)
    billed_month(scenario, "cus_B")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json", "must hold"),
        ('{"OTHER": 1}', "must hold"),
        ('{"STRIPE_SECRET_KEY": "pk_test_planted"}', "is no Stripe key"),
        ('{"STRIPE_SECRET_KEY": "sk_test_planted\\n"}', "is no Stripe key"),
        ('{"STRIPE_SECRET_KEY": "replace-me"}', "is no Stripe key"),
    ],
)
def test_an_unusable_secret_is_waited_for_and_never_shown(
    scenario: Scenario, content: str, said: str
) -> None:
    scenario.month("cus_A", "2026-10", [5])
    scenario.stack.clients.secrets.put_secret_value(
        SecretId=scenario.stack.secret_id, SecretString=content
    )

    outcome = scenario.handle(bill_body("cus_A"), worker=scenario.installation(stripe_api_key=None))

    assert isinstance(outcome, Retry)
    assert said in outcome.reason
    assert "planted" not in outcome.reason


# --- A crash at every call --------------------------------------------------------------------


@pytest.fixture
def crashing(scenario: Scenario) -> Iterator[tuple[Scenario, Calls]]:
    calls = Calls()
    clients = counted_clients(scenario.stack, calls)
    scenario.crash_clients = clients
    yield scenario, calls
    close_clients(clients)


def crash(scenario: Scenario, calls: Calls, body: str) -> bool:
    """Handle a body in a fresh worker that ends where `calls` says; True if it did end there."""
    worker = scenario.installation(clients=scenario.crash_clients, calls=calls)
    try:
        scenario.handle(body, worker=worker)
    except Crash:
        return True
    return False


def test_a_crash_at_any_call_costs_and_loses_nothing(crashing: tuple[Scenario, Calls]) -> None:
    scenario, calls = crashing
    place = 0
    while True:
        crashed = False
        for after in (False, True):
            customer = f"cus_{place}_{after:d}"
            scenario.customers(customer)
            scenario.month(customer, "2026-10", [5, 6, 9])
            calls.arm(place, after=after)
            crashed = crash(scenario, calls, bill_body(customer))
            where = calls.made[-1]
            scenario.wall.advance(timedelta(seconds=31))

            outcome = scenario.finish(bill_body(customer), worker=scenario.installation())

            assert isinstance(outcome, Done), (where, after, outcome)
            billed_month(scenario, customer)
        if not crashed:
            break
        place += 1
    # Rows, ledger, monthly row, secret or account, freezing, claim, call, record, three days, row.
    assert place >= 11, calls.made


def test_two_crashes_and_a_fault_cost_and_lose_nothing(crashing: tuple[Scenario, Calls]) -> None:
    scenario, calls = crashing
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - what makes a failure repeatable
    chance = random.Random(seed)  # noqa: S311 - cases, not secrets
    for number in range(40):
        customer = f"cus_{number}"
        scenario.customers(customer)
        scenario.month(customer, "2026-10", [5, 6, 9])
        if chance.random() < 0.7:
            scenario.simulator.add_faults(
                Rule(match=EVENTS, fault=chance.choice([*OPEN_ENDED, Status(status=429)]))
            )
        for _ in range(2):
            calls.arm(chance.randrange(12), after=chance.random() < 0.5)
            crash(scenario, calls, bill_body(customer))
            scenario.wall.advance(timedelta(seconds=chance.choice([1, 31, 300])))

        outcome = scenario.finish(bill_body(customer), worker=scenario.installation())

        scenario.simulator.clear_faults()
        assert isinstance(outcome, Done), (seed, number, outcome)
    scenario.wall.advance(timedelta(hours=1))
    for number in range(40):
        billed_month(scenario, f"cus_{number}")


# --- Real processes ---------------------------------------------------------------------------


@pytest.fixture
def running() -> RunningClock:
    return RunningClock()


class TestProcesses:
    """Workers of their own, on the machine's clock, billing the month that has just ended."""

    @pytest.fixture
    def wall(self, running: RunningClock) -> RunningClock:
        return running

    @pytest.fixture
    def month(self, running: RunningClock) -> str:
        return str(last_month(running()))

    def plant(self, scenario: Scenario, month: str, count: int) -> list[str]:
        customers = [f"cus_{number}" for number in range(count)]
        scenario.customers(*customers)
        for customer in customers:
            scenario.month(customer, month, [5, 6, 7])
            scenario.send(Queue.MONTHLY_BILLING, bill_body(customer, month))
        return customers

    def test_two_processes_at_once_send_one_event_each(
        self, scenario: Scenario, month: str
    ) -> None:
        customers = self.plant(scenario, month, 20)
        for customer in customers:
            scenario.send(Queue.MONTHLY_BILLING, bill_body(customer, month))

        both = [scenario.spawn("worker", "--drain") for _ in range(2)]

        assert [worker.wait(60) for worker in both] == [0, 0]
        for customer in customers:
            billed_month(scenario, customer, month)
            assert scenario.counted(customer)[0].offers == 1

    def test_killed_workers_and_a_failing_stripe_bill_once(
        self, scenario: Scenario, simulator: StripeSimulator, month: str
    ) -> None:
        seed = secrets.randbits(32)
        print(f"seed {seed}")  # noqa: T201 - what makes a failure repeatable
        chance = random.Random(seed)  # noqa: S311 - cases, not secrets
        simulator.add_faults(
            Rule(match=EVENTS, fault=AcceptThen500(), times=None, probability=0.15, seed=seed),
            Rule(match=EVENTS, fault=AcceptThenReset(), times=None, probability=0.15, seed=seed),
            Rule(
                match=EVENTS,
                fault=AcceptThenHang(seconds=0.3),
                times=None,
                probability=0.15,
                seed=seed,
            ),
            Rule(match=EVENTS, fault=Delay(seconds=0.05), times=None),
        )
        customers = self.plant(scenario, month, 20)
        patience = {
            "SIFTBEAM_CLAIM_SECONDS": "2",
            "SIFTBEAM_VISIBILITY_SECONDS": "2",
            "SIFTBEAM_CONCURRENCY": "2",
        }

        for _ in range(2):
            worker = scenario.spawn("worker", **patience)
            await_posts(scenario, chance.randrange(1, 8), customers)
            worker.kill()
            worker.wait(10)
        simulator.clear_faults()

        assert scenario.cli("resolve", "--all", **patience).returncode == 0
        ended = scenario.cli("worker", "--drain", **patience)

        assert ended.returncode == 0, ended.stderr
        for customer in customers:
            billed_month(scenario, customer, month)
        assert scenario.letters(Queue.MONTHLY_BILLING) == []


def await_posts(scenario: Scenario, more: int, customers: list[str]) -> None:
    """Wait for so many more calls, or until Stripe has heard of everybody."""

    def posts() -> int:
        return sum(seen.method == "POST" for seen in scenario.simulator.requests())

    goal = posts() + more
    wait_until(lambda: posts() >= goal or len(scenario.counted()) == len(customers), "calls")
