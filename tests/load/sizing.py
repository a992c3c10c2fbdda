"""One customer of millions of objects, sized by real workers that are killed on the way.

    python -m tests.load.sizing --keys 5000000 --kills 5

The worker lists the bench's own fast S3 server, each page of which takes a while; it is killed
(SIGKILL) again and again after a random number of pages, and the next one takes the message when
its lease has run out. At the end the row holds what the bucket holds, to the byte; the pages are
counted, for what a checkpoint holds is not listed again.
"""

from __future__ import annotations

import argparse
import itertools
import random
import secrets
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.sizing import build, serving
from infra.embedded_aws import EmbeddedAws
from producers.queues import Queue
from tests.integration.scenario import size_body, wait_until
from tests.kill.theatre import theatre
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.scenario import Process, Scenario

CUSTOMER = "cus_bench"
# What the bench's server lists: files a run.
_FILES = 10
_PAGE = 1_000
_PATIENCE_SECONDS = 900.0
_RESUMED = "listing_resumed"


@dataclass(frozen=True, slots=True)
class Sized:
    """What came of it.

    Args:
        usage: what the row holds of the input prefix.
        pages: asked for by each worker.
        resumed: how many workers went on where another was killed.
        seconds: in all.
    """

    usage: Usage
    pages: tuple[int, ...]
    resumed: int
    seconds: float


def size_under_fire(
    scenario: Scenario, s3_url: str, lives: list[int], pages_asked: Callable[[], int]
) -> Sized:
    """Size the customer; each worker but the last is killed after so many pages.

    Args:
        scenario: a data stack of its own.
        s3_url: lists the bucket.
        lives: pages until each kill.
        pages_asked: of the server, by all workers so far.

    Raises:
        AssertionError: the last worker failed, or there is not one row.
    """
    began = time.monotonic()
    scenario.customers(CUSTOMER)
    scenario.send(Queue.DAILY_SIZING, size_body(CUSTOMER, datetime.now(UTC).date().isoformat()))
    asked, resumed = [pages_asked()], 0
    for life in lives:
        killed = _worker(scenario, s3_url)
        _kill_at(asked[-1] + life, killed, pages_asked)
        resumed += _RESUMED in killed.said()
        asked.append(pages_asked())
    last = _worker(scenario, s3_url)
    assert last.wait(_PATIENCE_SECONDS) == 0, last.said()[-2_000:]
    resumed += _RESUMED in last.said()
    asked.append(pages_asked())
    (row,) = scenario.days_of(CUSTOMER)
    return Sized(
        usage=Usage(int(str(row["totalStorageBytesInput"])), int(str(row["fileCountInput"]))),
        pages=tuple(after - before for before, after in itertools.pairwise(asked)),
        resumed=resumed,
        seconds=time.monotonic() - began,
    )


def _kill_at(pages: int, worker: Process, pages_asked: Callable[[], int]) -> None:
    wait_until(
        lambda: worker.ended() or pages_asked() >= pages, f"{pages} pages", _PATIENCE_SECONDS
    )
    worker.kill()
    worker.wait(10)


def _worker(scenario: Scenario, s3_url: str) -> Process:
    return scenario.spawn(
        *("worker", "--queue", Queue.DAILY_SIZING, "--drain"),
        AWS_ENDPOINT_URL_S3=s3_url,
        # A killed worker's message is shown to the next one after this.
        SIFTBEAM_VISIBILITY_SECONDS="3",
    )


class _Count:
    """The pages that the bench's server was asked for; it forgets them when it says so."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/count"
        self._total = 0

    def __call__(self) -> int:
        with urllib.request.urlopen(self._url) as answer:  # noqa: S310 - the bench's own server
            self._total += int(answer.read())
        return self._total


def prove(keys: int, kills: int, latency_ms: int, seed: int) -> Sized:
    """All of it, against the bench's server.

    Raises:
        AssertionError: the row does not hold what the bucket holds.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    whole = -(-keys // _PAGE)
    lives = [chance.randrange(whole // 10, whole // 3) for _ in range(kills)]
    with tempfile.TemporaryDirectory() as name, EmbeddedAws() as aws, theatre(aws) as scenario:
        folder = Path(name)
        build(folder, tls=False)
        with serving(folder, keys // _FILES, _FILES, latency_ms, tls=False) as url:
            sized = size_under_fire(scenario, url, lives, _Count(url))
    # As the server writes its entries.
    truth = Usage(sum(number * 7_919 % 100_000_000 for number in range(keys)), keys)
    assert sized.usage == truth, f"the row holds {sized.usage}, the bucket {truth}"
    return sized


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.sizing", description=__doc__)
    parser.add_argument("--keys", type=int, default=5_000_000, help="a multiple of ten")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--latency", type=int, default=1_000, help="of a page, milliseconds")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    sys.stdout.flush()
    sized = prove(given.keys, given.kills, given.latency, given.seed)
    whole, asked = -(-given.keys // _PAGE), sum(sized.pages)
    sys.stdout.write(
        f"{sized.usage.objects:,} objects, {sized.usage.total_bytes:,} bytes: the same as the "
        f"bucket's. {given.kills} workers killed, {sized.resumed} resumed, {asked:,} pages asked "
        f"for of {whole:,} ({asked / whole:.2f}), by worker "
        f"{', '.join(f'{pages:,}' for pages in sized.pages)}; {sized.seconds:.0f} s\n"
    )


if __name__ == "__main__":
    main()
