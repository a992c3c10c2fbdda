"""The listing against boto3's own paginator, on another S3 server that is real."""

from __future__ import annotations

import itertools
import os
import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.parity.seaweedfs import SESSION, SeaweedFs, program
from tests.unit.listing.bucket import AWKWARD
from worker.clock import SystemClock
from worker.listing.address import BucketAddress
from worker.listing.listing import S3Listing
from worker.listing.pressure import Pressure
from worker.listing.s3_pages import S3Pages
from worker.listing.walk import walk
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

# `make parity` sets it: then a missing server is a failure.
REQUIRED = os.environ.get("REQUIRE_SEAWEEDFS") == "1"
BUCKET = "files"
LARGE = "service/input/cus_large/"
RUNS, FILES = 260, 10
IN_FLIGHT = 8


@pytest.fixture(scope="module")
def server() -> Iterator[SeaweedFs]:
    if program() is None and not REQUIRED:
        pytest.skip("SeaweedFS is not installed: `make parity` does it")
    with SeaweedFs(BUCKET) as made:
        yield made


@pytest.fixture(scope="module")
def s3(server: SeaweedFs) -> Iterator[S3Client]:
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def pages(s3: S3Client) -> Iterator[S3Pages]:
    made = S3Pages(
        lambda: BucketAddress(s3, SESSION.get_credentials(), BUCKET),
        pressure=Pressure(IN_FLIGHT),
        clock=SystemClock(),
        chance=random.random,
        in_flight=IN_FLIGHT,
    )
    yield made
    made.close()


def listed(s3: S3Client, prefix: str) -> list[tuple[str, int]]:
    """By boto3."""
    return [
        (entry["Key"], entry["Size"])
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        for entry in page.get("Contents", ())
    ]


def put(s3: S3Client, sizes: dict[str, int]) -> int:
    """Put objects; returns how many the server refused."""

    def put_one(key: str) -> bool:
        try:
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * sizes[key])
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(IN_FLIGHT) as crew:
        return list(crew.map(put_one, sizes)).count(False)


@pytest.mark.parametrize("prefix", ["service/input/cus_A/", "p+&<日/"])
def test_awkward_keys(s3: S3Client, pages: S3Pages, prefix: str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - what makes a failure repeatable
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    # Each kind alone, and a few together.
    pieces = [*AWKWARD, *map(chr, range(1, 0x100)), *"é写\u200b\u2028"]
    names = [f"r/{piece}x" for piece in pieces]
    names += ["".join(chance.choices(pieces, k=chance.randrange(1, 5))) for _ in range(200)]
    refused = put(s3, {prefix + name: chance.randrange(50) for name in names})
    expected = listed(s3, prefix)
    # The server has ideas of its own about some keys; what it lists is what counts.
    assert len(expected) > (len(set(names)) - refused) * 0.8

    ours = [(entry.key, entry.size) for page in walk(pages, prefix) for entry in page.entries()]

    assert ours == expected
    whole = Usage(sum(size for _, size in expected), len(expected))
    assert S3Listing(pages).usage(prefix) == whole


def test_several_pages_side_by_side(s3: S3Client, pages: S3Pages) -> None:
    sizes = {
        f"{LARGE}{run * 16_518_000:08x}-77aa/part-{file}.json": run + file
        for run, file in itertools.product(range(RUNS), range(FILES))
    }
    assert put(s3, sizes) == 0
    whole = Usage(sum(sizes.values()), len(sizes))
    assert dict(listed(s3, LARGE)) == sizes

    listing = S3Listing(pages, IN_FLIGHT)

    assert listing.usage(LARGE) == whole
    division = listing.survey.run(listing.survey.division(LARGE))
    assert division.usage == whole
    assert len(sizes) / 1_000 <= division.pages < 10
    listing.close()
