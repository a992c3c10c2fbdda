"""Daily sizing: every byte and every object, or no row at all."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from producers.queues import Queue
from tests.integration.scenario import Scenario, bill_body, size_body
from tests.unit.listing.bucket import listing_xml
from worker.listing.errors import SlowedDown
from worker.listing.listing import S3Listing
from worker.listing.page import Page, read_page
from worker.outcome import DeadLetter, Done, Retry

if TYPE_CHECKING:
    from infra.stripe_simulator import SettableClock
    from worker.installation import Installation
    from worker.listing.query import PageQuery

TODAY = "2026-11-01"
NUMBERS = itertools.count()


class ScriptedPages:
    """S3 as the test tells it: pages, or errors, one after the other."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)

    def fetch(self, query: PageQuery) -> Page:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return read_page(answer, query.prefix)


def scripted(scenario: Scenario, *answers: bytes | Exception) -> tuple[Installation, ScriptedPages]:
    worker = scenario.installation()
    pages = ScriptedPages(*answers)
    worker.__dict__["listing"] = S3Listing(pages)
    return worker, pages


def page(*sizes: int, more: str | None = None) -> bytes:
    folder = "output" if sizes in {(1,), (7,)} else "input"
    prefix = f"service/{folder}/cus_A/"
    return listing_xml(
        [(f"{prefix}r/{next(NUMBERS):06}", size) for size in sizes], prefix=prefix, token=more
    )


def size(scenario: Scenario, customer: str = "cus_A", day: str = TODAY) -> None:
    outcome = scenario.handle(size_body(customer, day), queue=Queue.DAILY_SIZING)
    assert isinstance(outcome, Done)


def test_three_pages_of_odd_keys_are_all_counted(scenario: Scenario) -> None:
    names = ("a b", "a+b", "ü€", "日本", "%20", "a&b=c?")
    for number in range(2_010):
        name = names[number % len(names)]
        scenario.upload(f"service/input/cus_A/run-{number % 7}/{name} {number}", 3)
    scenario.upload("service/output/cus_A/run-1/out", 11)
    scenario.upload("service/input/cus_AB/run-1/other", 1_000)
    scenario.upload("service/output/cus_/run-1/other", 1_000)

    size(scenario)

    assert scenario.days_of("cus_A") == [
        {
            "customerId": "cus_A",
            "date": TODAY,
            "totalStorageBytesInput": 6_030,
            "totalStorageBytesOutput": 11,
            "totalStorageBytes": 6_041,
            "fileCountInput": 2_010,
            "fileCountOutput": 1,
            "totalFileCount": 2_011,
            "billingMonth": "2026-11",
            "billingStatus": "pending",
            "calculatedAt": "2026-11-01T00:05:00.000Z",
            "ttl": int(datetime(2028, 11, 1, tzinfo=UTC).timestamp()),
        }
    ]


def test_one_name_that_begins_another_keeps_its_own_bytes(scenario: Scenario) -> None:
    scenario.upload("service/input/cus_A/run-1/a", 1)
    scenario.upload("service/input/cus_AB/run-1/a", 10)

    size(scenario, "cus_A")
    size(scenario, "cus_AB")

    assert scenario.days_of("cus_A")[0]["totalStorageBytes"] == 1
    assert scenario.days_of("cus_AB")[0]["totalStorageBytes"] == 10


def test_a_customer_who_holds_nothing_gets_zeros(scenario: Scenario) -> None:
    size(scenario)

    (row,) = scenario.days_of("cus_A")
    numbers = {name: value for name, value in row.items() if name.startswith(("total", "file"))}
    assert set(numbers.values()) == {0}
    assert len(numbers) == 6


@pytest.mark.parametrize("status", ["billed", "failed"])
def test_a_row_that_left_pending_is_not_touched(scenario: Scenario, status: str) -> None:
    scenario.day("cus_A", TODAY, 77, billingStatus=status, stripeMeterEventId="an-event")
    before = scenario.days_of("cus_A")
    scenario.upload("service/input/cus_A/run-1/a", 1)

    size(scenario)

    assert scenario.days_of("cus_A") == before


def test_a_pending_row_is_measured_anew(scenario: Scenario) -> None:
    size(scenario)
    scenario.upload("service/input/cus_A/run-1/a", 5)

    size(scenario)

    assert scenario.days_of("cus_A")[0]["totalStorageBytes"] == 5


def test_the_29th_of_february_is_kept_two_years(scenario: Scenario, wall: SettableClock) -> None:
    wall.set(datetime(2028, 2, 29, 1, tzinfo=UTC))

    size(scenario, day="2028-02-29")

    assert scenario.days_of("cus_A")[0]["ttl"] == datetime(2030, 3, 1, tzinfo=UTC).timestamp()


def test_a_past_day_says_when_it_was_measured(scenario: Scenario) -> None:
    size(scenario, day="2026-10-30")
    size(scenario, day="2026-11-01")

    assert [row.get("measuredOn") for row in scenario.days_of("cus_A")] == ["2026-11-01", None]


def test_a_day_that_has_not_begun_is_dead_lettered(scenario: Scenario) -> None:
    outcome = scenario.handle(size_body("cus_A", "2026-11-02"), queue=Queue.DAILY_SIZING)

    assert isinstance(outcome, DeadLetter)
    assert outcome.error_type == "DayNotBegun"
    assert scenario.days_of("cus_A") == []


def test_terabytes_are_exact(scenario: Scenario) -> None:
    largest = 5 * 2**40
    worker, _ = scripted(
        scenario,
        page(*[largest - 1] * 1_000, more="second"),
        page(*[largest] * 999),
        page(1),
    )

    outcome = scenario.handle(size_body("cus_A", TODAY), worker=worker)

    assert isinstance(outcome, Done)
    (row,) = scenario.days_of("cus_A")
    assert row["totalStorageBytes"] == 1_000 * (largest - 1) + 999 * largest + 1
    assert row["totalFileCount"] == 2_000


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_a_failed_page_writes_no_row_and_is_tried_again(scenario: Scenario, fails: int) -> None:
    pages = [page(5, more="second"), page(6), page(7)]
    worker, s3 = scripted(scenario, *pages[: fails - 1], SlowedDown("SlowDown (HTTP 503)"))

    outcome = scenario.handle(size_body("cus_A", TODAY), worker=worker)

    assert isinstance(outcome, Retry)
    assert "SlowDown" in outcome.reason
    assert scenario.days_of("cus_A") == []
    s3.answers.extend(pages)
    assert isinstance(scenario.handle(size_body("cus_A", TODAY), worker=worker), Done)
    assert scenario.days_of("cus_A")[0]["totalStorageBytes"] == 18


def test_a_missing_bucket_writes_no_row(scenario: Scenario) -> None:
    worker = scenario.installation(bucket="there-is-no-such-bucket")

    outcome = scenario.handle(size_body("cus_A", TODAY), worker=worker)

    assert isinstance(outcome, Retry)
    assert "NoSuchBucket" in outcome.reason
    assert scenario.days_of("cus_A") == []
    assert isinstance(
        scenario.handle(size_body("cus_A", TODAY), worker=worker, receipts=12), DeadLetter
    )


def test_a_row_that_comes_after_its_month_was_billed_is_named_there(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [9] * 30)
    scenario.handle(bill_body("cus_A"))
    scenario.wall.advance(timedelta(hours=1))
    scenario.upload("service/input/cus_A/run-1/a", 5)

    size(scenario, day="2026-10-31")

    row = scenario.month_of("cus_A", "2026-10")
    assert row is not None
    assert "rows that came after the month was claimed, not billed: 2026-10-31" in str(row["notes"])
    assert (row["billingStatus"], row["averageStorageBytes"]) == ("billed", 9)
    assert scenario.days_of("cus_A")[-1]["billingStatus"] == "pending"
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    assert scenario.days_of("cus_A")[-1]["billingStatus"] == "pending"
    assert [event.value for event in scenario.counted("cus_A")] == ["9"]
