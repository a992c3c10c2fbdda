"""A survey over HTTP: several pages in flight, and what goes wrong with one of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.unit.listing.bucket import BucketServer, ListedBucket, Reply, listing_xml
from tests.unit.listing.conftest import lister
from tests.unit.listing.test_division import PREFIX, Disordered, bucket_of, folders
from worker.availability import WatchedPages
from worker.circuit import Circuit, Dependency
from worker.lease import LeaseLost, held_by
from worker.listing.errors import PageRefused, RepeatedToken
from worker.listing.listing import S3Listing
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = folders(400, 10)
SLOW_DOWN = Reply(b"<Error><Code>SlowDown</Code></Error>", 503)


@dataclass(slots=True)
class SettableLease:
    lost: str | None = None


def survey(
    bucket: ListedBucket, fault: Callable[[int, Mapping[str, str]], Reply | None]
) -> tuple[Usage, BucketServer]:
    server = BucketServer(bucket, fault)
    with lister(server) as made:
        listing = S3Listing(made.pages, in_flight=8)
        try:
            return listing.usage(PREFIX), server
        finally:
            listing.close()


def whole(bucket: ListedBucket) -> Usage:
    return Usage(sum(bucket.sizes.values()), len(bucket.keys))


def test_several_pages_are_in_flight() -> None:
    bucket = bucket_of(NAMES)

    both = threading.Barrier(2)

    def wait_for_each_other(number: int, _: Mapping[str, str]) -> None:
        if number in {1, 2}:
            both.wait(20)

    usage, server = survey(bucket, wait_for_each_other)

    assert usage == whole(bucket)
    assert 1 < server.most_in_flight <= 8
    # Every reply decides where the next cuts are, and threads decide which comes first: so a loose
    # bound, of one page more for each in flight and as many cuts again. The close one is a
    # division's without threads.
    assert len(server.asked) <= 200 + 2 * 8


def test_a_busy_s3_slows_the_survey_and_does_not_fail_it() -> None:
    bucket = bucket_of(NAMES)

    usage, server = survey(bucket, lambda number, _: SLOW_DOWN if number % 3 == 1 else None)

    assert usage == whole(bucket)
    assert len(server.asked) > 300


@pytest.mark.parametrize("at", [1, 20, 190])
def test_a_refusal_in_the_middle_fails_the_survey(at: int) -> None:
    refusal = Reply(b"<Error><Code>AccessDenied</Code></Error>", 403)

    with pytest.raises(PageRefused, match="AccessDenied"):
        survey(bucket_of(NAMES), lambda number, _: refusal if number >= at else None)


def test_a_stretch_that_leads_in_a_circle_fails_the_survey() -> None:
    bucket = bucket_of(NAMES)

    def circle(number: int, asked: Mapping[str, str]) -> Reply | None:
        if number < 30 or "continuation-token" not in asked:
            return None
        return Reply(listing_xml([], prefix=PREFIX, token="again"))

    with pytest.raises(RepeatedToken):
        survey(bucket, circle)


@pytest.mark.parametrize("then", [None, SLOW_DOWN])
def test_a_lost_lease_ends_every_page_in_flight(then: Reply | None) -> None:
    lease = SettableLease()
    bucket = bucket_of(NAMES)

    def lose(number: int, _: Mapping[str, str]) -> Reply | None:
        if number < 40:
            return None
        lease.lost = "somebody else has it"
        return then

    server = BucketServer(bucket, lose)
    with lister(server) as made, held_by(lease):
        circuit = Circuit(Dependency.S3, lambda: None, made.clock)
        listing = S3Listing(WatchedPages(made.pages, circuit), in_flight=8)
        with pytest.raises(LeaseLost, match="somebody else has it"):
            listing.usage(PREFIX)
        listing.close()

    # Those under way when it was lost, and none after them.
    assert len(server.asked) <= 40 + 8


def test_keys_in_no_order_are_listed_one_page_after_another() -> None:
    ordered = bucket_of(["0/1", "0-1", "0/2", "0-2", *NAMES])
    disordered = Disordered(ordered.sizes, ordered.page)

    class Answers:
        fetch = staticmethod(disordered.fetch)

    listing = S3Listing(Answers(), in_flight=8)

    assert listing.usage(PREFIX) == whole(ordered)
    listing.close()
