"""A listing that is killed goes on where it was, and comes to the same sum."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from tests.unit.listing.test_division import PREFIX, bucket_of, folders
from worker.listing.checkpoint import Checkpoints, Overtaken
from worker.listing.listing import S3Listing
from worker.listing.long_listing import LongListing
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.listing.bucket import ListedBucket
    from worker.listing.page import Page
    from worker.listing.query import PageQuery

DAY = date(2026, 11, 1)
BUCKET = bucket_of(folders(600, 10))
WHOLE = Usage(sum(BUCKET.sizes.values()), len(BUCKET.keys))
PAGES = 300


class Killed(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class PageClock:
    """A second passes with each look at it."""

    wall: datetime = datetime(2026, 11, 1, 1, tzinfo=UTC)
    ticks: Iterator[int] = field(default_factory=itertools.count)

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return float(next(self.ticks))

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@dataclass(slots=True)
class MortalPages:
    """Pages of a bucket until the process is killed."""

    bucket: ListedBucket
    lives: int = 10**9
    fetched: int = 0

    def fetch(self, query: PageQuery) -> Page:
        self.fetched += 1
        if self.fetched > self.lives:
            raise Killed
        return self.bucket.fetch(query)


@pytest.fixture
def checkpoints() -> Iterator[Checkpoints]:
    with mock_aws():
        dynamodb = boto3.Session("a", "b", region_name="ap-northeast-1").client("dynamodb")
        dynamodb.create_table(
            TableName="ledger",
            KeySchema=[{"AttributeName": "fact", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "fact", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Checkpoints(dynamodb, "ledger")
        dynamodb.close()


def long_listing(
    checkpoints: Checkpoints, pages: MortalPages, clock: PageClock, in_flight: int = 1
) -> LongListing:
    listing = S3Listing(pages, in_flight)
    return LongListing(
        survey=listing.survey,
        checkpoints=checkpoints,
        clock=clock,
        holder=lambda: f"holder-{id(pages)}",
    )


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize("killed_at", [10, 60, 150, 299])
def test_a_successor_comes_to_the_same_sum(
    checkpoints: Checkpoints, in_flight: int, killed_at: int
) -> None:
    first = long_listing(checkpoints, MortalPages(BUCKET, killed_at), PageClock(), in_flight)
    with pytest.raises(Killed):
        first.usage(PREFIX, DAY)
    second = MortalPages(BUCKET)

    assert long_listing(checkpoints, second, PageClock(), in_flight).usage(PREFIX, DAY) == WHOLE

    if killed_at >= 150:
        assert second.fetched < PAGES * 1.1 - killed_at + 50 + 40


def test_killed_again_and_again(checkpoints: Checkpoints) -> None:
    for _ in range(12):
        pages = MortalPages(BUCKET, 100)
        try:
            usage = long_listing(checkpoints, pages, PageClock(), 8).usage(PREFIX, DAY)
        except Killed:
            continue
        assert usage == WHOLE
        return
    pytest.fail("no progress")


def test_nobody_goes_on_where_keys_come_in_no_order(checkpoints: Checkpoints) -> None:
    disordered = bucket_of(folders(600, 10))
    for start in range(0, len(disordered.keys), disordered.page):
        # The edges of pages are in order all the same.
        one, other = start + 1, start + 2
        disordered.keys[one], disordered.keys[other] = disordered.keys[other], disordered.keys[one]
    with pytest.raises(Killed):
        long_listing(checkpoints, MortalPages(disordered, 200), PageClock(), 8).usage(PREFIX, DAY)
    successor = MortalPages(disordered)

    assert long_listing(checkpoints, successor, PageClock(), 8).usage(PREFIX, DAY) == WHOLE
    assert checkpoints.under_way() == []


def test_what_is_recorded_is_measured_anew(checkpoints: Checkpoints) -> None:
    done = long_listing(checkpoints, MortalPages(BUCKET), PageClock())
    done.usage(PREFIX, DAY)
    assert [found.objects for found in checkpoints.under_way()] == [6_000]
    done.written(PREFIX)
    pages = MortalPages(BUCKET)

    long_listing(checkpoints, pages, PageClock()).usage(PREFIX, DAY)

    assert pages.fetched == PAGES


def test_a_whole_prefix_is_not_listed_again_while_its_row_is_not_written(
    checkpoints: Checkpoints,
) -> None:
    long_listing(checkpoints, MortalPages(BUCKET), PageClock()).usage(PREFIX, DAY)
    pages = MortalPages(BUCKET)

    assert long_listing(checkpoints, pages, PageClock()).usage(PREFIX, DAY) == WHOLE
    assert pages.fetched == 50


@pytest.mark.parametrize(
    ("day", "later"), [(date(2026, 11, 2), timedelta(hours=1)), (DAY, timedelta(hours=7))]
)
def test_neither_another_day_nor_an_old_checkpoint_is_gone_on_from(
    checkpoints: Checkpoints, day: date, later: timedelta
) -> None:
    long_listing(checkpoints, MortalPages(BUCKET), PageClock()).usage(PREFIX, DAY)
    pages, clock = MortalPages(BUCKET), PageClock()
    clock.wall += later

    assert long_listing(checkpoints, pages, clock).usage(PREFIX, day) == WHOLE
    assert pages.fetched == PAGES


def test_who_was_overtaken_stops(checkpoints: Checkpoints) -> None:
    class Slow(MortalPages):
        def fetch(self, query: PageQuery) -> Page:
            if self.fetched == 120:
                long_listing(checkpoints, MortalPages(BUCKET), PageClock()).usage(PREFIX, DAY)
            return super().fetch(query)

    with pytest.raises(Overtaken):
        long_listing(checkpoints, Slow(BUCKET), PageClock()).usage(PREFIX, DAY)


def test_how_far_it_got_can_be_asked(checkpoints: Checkpoints) -> None:
    with pytest.raises(Killed):
        long_listing(checkpoints, MortalPages(BUCKET, 150), PageClock(), 8).usage(PREFIX, DAY)

    (found,) = checkpoints.under_way()

    assert (found.prefix, found.day) == (PREFIX, DAY)
    assert 50 <= found.pages <= 150
    assert found.percent is not None
    assert 10 <= found.percent <= 60


def test_a_short_listing_remembers_nothing(checkpoints: Checkpoints) -> None:
    long_listing(checkpoints, MortalPages(bucket_of(folders(9, 9))), PageClock()).usage(PREFIX, DAY)

    assert checkpoints.under_way() == []
