"""Producers: everybody once, to the last page, for the month that the tick means."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import Match, Rule, Seed, SeedCustomer, Status
from producers.billing_month import BillingMonth
from producers.messages import Tick
from producers.queues import Queue
from tests.integration.scenario import Scenario, bill_body, size_body
from worker.outcome import Done, Retry

if TYPE_CHECKING:
    from infra.stripe_simulator import SettableClock
    from worker.outcome import Outcome

NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _at_night(wall: SettableClock) -> None:
    wall.set(NIGHT)


def tick(
    scenario: Scenario,
    job: str,
    at: datetime,
    *,
    first_received_at: datetime | None = None,
    receipts: int = 1,
) -> Outcome:
    body = Tick.model_validate({"job": job, "scheduledTime": at}).body()
    return scenario.handle(
        body, queue=Queue.SCHEDULE, first_received_at=first_received_at, receipts=receipts
    )


def named(scenario: Scenario, queue: Queue, *fields: str) -> list[tuple[str, ...]]:
    """Those fields of every message on a queue, sorted."""
    found = [json.loads(body) for body in scenario.bodies(queue)]
    return sorted(tuple(body[field] for field in fields) for body in found)


def put_large_rows(scenario: Scenario, table: str, rows: list[dict[str, str]]) -> None:
    """Rows of 100 kB: eleven of them are more than one page."""
    ballast = "x" * 100_000
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda row: scenario.put(table, {**row, "ballast": ballast}), rows))


def test_a_table_of_more_than_one_page_gives_everybody_once(scenario: Scenario) -> None:
    everybody = [f"cus_{number:03}" for number in range(30)]
    put_large_rows(scenario, "customers", [{"customerId": customer} for customer in everybody])

    assert isinstance(tick(scenario, "daily", NIGHT), Done)

    assert named(scenario, Queue.DAILY_SIZING, "customerId", "date") == [
        (customer, "2026-11-01") for customer in everybody
    ]


def test_stripes_customer_list_is_paged_to_its_end(scenario: Scenario) -> None:
    everybody = [f"cus_{number:03}" for number in range(250)]
    scenario.simulator.seed(Seed(customers=tuple(SeedCustomer(id=name) for name in everybody)))
    worker = scenario.installation(customer_source="stripe")

    count = worker.jobs().daily(NIGHT.date())

    assert count.sent == 250
    assert named(scenario, Queue.DAILY_SIZING, "customerId") == [(name,) for name in everybody]


def test_a_month_of_more_than_one_page_gives_each_customer_once(scenario: Scenario) -> None:
    rows = [
        {"customerId": f"cus_{customer}", "date": f"2026-10-{day:02}", "billingMonth": "2026-10"}
        for customer in range(4)
        for day in range(1, 9)
    ]
    put_large_rows(scenario, "storage-usage-daily", rows)
    scenario.day("cus_other", "2026-11-01", 5)

    assert isinstance(tick(scenario, "monthly", NIGHT), Done)

    assert named(scenario, Queue.MONTHLY_BILLING, "customerId", "billingMonth") == [
        (f"cus_{customer}", "2026-10") for customer in range(4)
    ]


def test_ids_that_can_be_nobodys_are_reported_and_the_others_go_on(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    for customer in ("cus_A", "with/slash", "c" * 65, "with space", "cus_B"):
        scenario.put("customers", {"customerId": customer})

    assert isinstance(tick(scenario, "daily", NIGHT), Done)

    assert named(scenario, Queue.DAILY_SIZING, "customerId") == [("cus_A",), ("cus_B",)]
    assert "ids_refused" in "".join(capsys.readouterr())


def test_a_dry_run_counts_and_sends_nothing(scenario: Scenario) -> None:
    scenario.customers("cus_A", "cus_B")
    scenario.day("cus_A", "2026-10-01", 1)

    jobs = scenario.worker.jobs(dry_run=True)

    assert jobs.daily(NIGHT.date()).sent == 2
    assert jobs.monthly(BillingMonth(2026, 10)).sent == 1
    assert scenario.waiting(Queue.DAILY_SIZING) == 0
    assert scenario.waiting(Queue.MONTHLY_BILLING) == 0


@pytest.mark.parametrize(
    ("at", "now", "month"),
    [
        ("2026-12-01T02:00:00+00:00", "2026-12-01T02:00:05+00:00", "2026-11"),
        ("2027-01-01T02:00:00+00:00", "2027-01-01T02:00:05+00:00", "2026-12"),
        ("2028-03-01T02:00:00+00:00", "2028-03-01T02:00:05+00:00", "2028-02"),
        # Taken days later, also in the next month: the tick's own time decides.
        ("2026-12-01T02:00:00+00:00", "2027-01-03T00:00:00+00:00", "2026-11"),
        # An offset that makes it another month in UTC.
        ("2026-12-01T02:00:00+09:00", "2026-12-01T00:00:05+00:00", "2026-10"),
    ],
)
def test_a_monthly_tick_means_the_month_that_had_ended(
    scenario: Scenario, wall: SettableClock, at: str, now: str, month: str
) -> None:
    wall.set(datetime.fromisoformat(now))
    for other in ("2026-10", "2026-11", "2026-12", "2027-01", "2028-02", "2028-03"):
        scenario.day("cus_A", f"{other}-01", 1)

    assert isinstance(tick(scenario, "monthly", datetime.fromisoformat(at)), Done)

    assert named(scenario, Queue.MONTHLY_BILLING, "billingMonth") == [(month,)]


def test_a_tick_that_comes_twice_bills_once(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    body = Tick.model_validate({"job": "monthly", "scheduledTime": NIGHT}).body()
    for _ in range(2):
        scenario.send(Queue.SCHEDULE, body)

    scenario.drain()

    (event,) = scenario.counted("cus_A")
    assert event.offers == 1
    assert scenario.letters(Queue.SCHEDULE) == []


def test_a_monthly_tick_waits_for_sizing_but_not_for_ever(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.day("cus_A", "2026-10-31", 5)
    scenario.send(Queue.DAILY_SIZING, size_body("cus_A", "2026-11-01"))

    pauses = []
    for receipts in range(1, 10):
        outcome = tick(scenario, "monthly", NIGHT, receipts=receipts)
        assert isinstance(outcome, Retry)
        assert not outcome.limited
        pauses.append(outcome.after)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert scenario.waiting(Queue.MONTHLY_BILLING) == 0

    first = scenario.wall() - timedelta(hours=1)
    assert isinstance(tick(scenario, "monthly", NIGHT, first_received_at=first), Done)

    assert named(scenario, Queue.MONTHLY_BILLING, "customerId") == [("cus_A",)]
    assert "monthly_without_all_rows" in "".join(capsys.readouterr())


def test_a_monthly_tick_goes_on_once_sizing_is_done(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.day("cus_A", "2026-10-31", 5)
    scenario.send(Queue.DAILY_SIZING, size_body("cus_A", "2026-11-01"))
    assert isinstance(tick(scenario, "monthly", NIGHT), Retry)
    scenario.drain(Queue.DAILY_SIZING)

    assert isinstance(tick(scenario, "monthly", NIGHT), Done)


@pytest.mark.parametrize(
    ("rule", "queue"), [("daily", Queue.DAILY_SIZING), ("monthly", Queue.MONTHLY_BILLING)]
)
def test_eventbridges_own_envelope_is_a_tick(scenario: Scenario, rule: str, queue: Queue) -> None:
    scenario.customers("cus_A")
    scenario.day("cus_A", "2026-10-31", 5)
    envelope = {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-11-01T02:00:00Z",
        "resources": [f"arn:aws:events:ap-northeast-1:000000000000:rule/siftbeam-{rule}"],
        "detail": {},
    }

    assert isinstance(scenario.handle(json.dumps(envelope), queue=Queue.SCHEDULE), Done)

    assert named(scenario, queue, "customerId") == [("cus_A",)]


def test_a_resolve_tick_asks_again_for_what_is_due(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    scenario.simulator.add_faults(
        Rule(match=Match(method="POST"), fault=Status(status=429), times=20)
    )
    # Each failure doubles the wait, until the ledger keeps it instead of the queue.
    assert isinstance(scenario.finish(bill_body("cus_A")), Done)
    assert scenario.counted() == ()
    scenario.simulator.clear_faults()

    assert isinstance(tick(scenario, "resolve", scenario.wall()), Done)
    assert scenario.bodies(Queue.MONTHLY_BILLING) == []
    scenario.wall.advance(timedelta(hours=1))
    assert isinstance(tick(scenario, "resolve", scenario.wall()), Done)

    assert scenario.bodies(Queue.MONTHLY_BILLING) == [bill_body("cus_A")]
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    assert len(scenario.counted("cus_A")) == 1
