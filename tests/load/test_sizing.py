"""The script for five million objects, with a few: a killed worker's successor goes on."""

from __future__ import annotations

import random
import secrets
import time
from typing import TYPE_CHECKING

from infra.embedded_aws import EmbeddedAws
from tests.kill.theatre import theatre
from tests.load.sizing import CUSTOMER, size_under_fire
from tests.unit.listing.bucket import BucketServer, ListedBucket, served
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES, PAGE = 400, 20
# From the first checkpoint, at the fiftieth page, on.
FIRST_CHECKPOINT = 50


def test_a_killed_sizing_goes_on_and_comes_to_the_same_sum() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - what makes a failure repeatable
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    life = chance.randrange(FIRST_CHECKPOINT + 70, PAGES - 70)
    prefix = f"service/input/{CUSTOMER}/"
    bucket = ListedBucket(
        {f"{prefix}{chance.getrandbits(64):016x}/f": chance.randrange(10**9) for _ in range(8_000)},
        PAGE,
    )

    def take_a_while(_number: int, _asked: Mapping[str, str]) -> None:
        time.sleep(0.05)

    with (
        served(BucketServer(bucket, take_a_while)) as server,
        EmbeddedAws() as aws,
        theatre(aws) as scenario,
    ):
        sized = size_under_fire(scenario, server.url, [life], lambda: len(server.asked))

    assert sized.usage == Usage(sum(bucket.sizes.values()), len(bucket.sizes))
    assert sized.resumed == 1
