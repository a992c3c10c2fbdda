"""A prefix is divided so that every key is counted once, and few pages are asked for in vain.

Pages come in virtual time: nothing here waits, and nothing depends on the machine's speed.
"""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.listing.bucket import ListedBucket, listing_xml
from worker.listing.division import Division, Unordered
from worker.listing.page import read_page
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.listing.page import Page
    from worker.listing.query import PageQuery
    from worker.listing.stretch import Stretch

PREFIX = "service/input/cus_A/"
PAGE = 20


class Run:
    """A division listed against a bucket: every page takes one tick, or as long as chance says."""

    def __init__(
        self,
        bucket: ListedBucket,
        in_flight: int,
        *,
        takes: Callable[[], float] = lambda: 1.0,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.division = Division(PREFIX, in_flight)
        self.lists = 0
        self.ticks = 0.0
        number = itertools.count()
        under_way: list[tuple[float, int, Stretch, Page]] = []
        while self.division.left:
            while (stretch := self.division.next()) is not None:
                page = bucket.fetch(stretch.query(PREFIX))
                self.lists += 1
                heapq.heappush(under_way, (self.ticks + takes(), next(number), stretch, page))
            assert len(under_way) <= in_flight
            self.ticks, _, stretch, page = heapq.heappop(under_way)
            self.division.count(stretch, page)
            between()


def bucket_of(names: Iterable[str], page: int = PAGE) -> ListedBucket:
    chance = random.Random(5)  # noqa: S311 - the same each time
    return ListedBucket({PREFIX + name: chance.randrange(10**9) for name in names}, page)


def ids(count: int) -> list[str]:
    chance = random.Random(7)  # noqa: S311 - the same each time
    return [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]


def folders(count: int, files: int) -> list[str]:
    return [f"{run}/part-{file:05d}.json" for run in ids(count) for file in range(files)]


def sortable_ids(count: int) -> list[str]:
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    chance = random.Random(11)  # noqa: S311 - the same each time
    return ["01JC" + "".join(chance.choices(letters, k=22)) for _ in range(count)]


# Keys a page are 20, so that ten thousand keys are as many pages as half a million are in S3.
LAYOUTS = {
    "many runs of few files": (folders(1_000, 10), 1.06, 8.0),
    "few runs of many files": (folders(10, 1_000), 1.20, 2.0),
    "one run": (folders(1, 10_000), 1.20, 3.0),
    "sortable ids": ([f"{run}/out.csv" for run in sortable_ids(10_000)], 1.10, 8.0),
    "names in Japanese": ([f"写真{run[:2]}/{run}" for run in ids(9_000)], 1.20, 1.0),
    "two pages": (folders(3, 10), 1.0, 1.0),
    "a page and a key": (folders(21, 1), 1.0, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_side_by_side_is_faster_and_asks_for_few_pages_more(layout: str) -> None:
    names, most_pages, least_gain = LAYOUTS[layout]
    bucket = bucket_of(names)

    alone, together = Run(bucket, 1), Run(bucket, 16)

    whole = Usage(sum(bucket.sizes.values()), len(names))
    assert alone.division.usage == together.division.usage == whole
    assert alone.lists == -(-len(names) // PAGE)
    assert together.lists <= alone.lists * most_pages + 1
    assert alone.ticks >= together.ticks * least_gain


def test_one_page_is_one_request() -> None:
    assert Run(bucket_of(folders(2, 10)), 64).lists == 1
    assert Run(bucket_of([]), 64).lists == 1


KEYS = st.text(st.sampled_from("019afz/-~é写\U0001f600<&%\x01"), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    st.sets(KEYS, max_size=150),
    st.integers(1, 4),
    st.integers(2, 9),
    st.randoms(use_true_random=False),
)
def test_every_key_is_counted_once(
    names: set[str], page: int, in_flight: int, chance: random.Random
) -> None:
    bucket = bucket_of(names, page)

    run = Run(bucket, in_flight, takes=chance.random)

    assert run.division.usage == Usage(sum(bucket.sizes.values()), len(names))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_there_throughout_is_counted_once_whatever_comes_and_goes(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    names = folders(150, 10)
    lasting = {PREFIX + name: 1 for name in names if chance.random() < 0.7}
    bucket = ListedBucket(lasting | {PREFIX + name: 0 for name in names[::3]} | lasting, PAGE)

    def change() -> None:
        for name in chance.sample(names, 5):
            key = PREFIX + name
            if key in lasting:
                continue
            if key in bucket.sizes:
                del bucket.sizes[key]
            else:
                bucket.sizes[key] = 0
        bucket.keys = sorted(bucket.sizes)

    run = Run(bucket, 8, takes=chance.random, between=change)

    assert run.division.usage.total_bytes == len(lasting)


class Disordered(ListedBucket):
    """Lists folders before files whose names begin alike, as no bucket of S3 does."""

    def fetch(self, query: PageQuery) -> Page:
        names = sorted(self.keys, key=lambda key: key.split("/"))
        start = int(query.token or 0)
        more = start + self.page < len(names)
        return read_page(
            listing_xml(
                [(name, self.sizes[name]) for name in names[start : start + self.page]],
                prefix=PREFIX,
                token=str(start + self.page) if more else None,
            ),
            PREFIX,
        )


def test_keys_in_no_order_are_not_divided() -> None:
    bucket = Disordered(bucket_of(["0/1", "0-1", "0/2", "0-2", *folders(9, 9)]).sizes, PAGE)

    with pytest.raises(Unordered):
        Run(bucket, 8)
    run = Run(bucket, 1)
    assert run.division.usage == Usage(sum(bucket.sizes.values()), len(bucket.keys))
