"""A listing of a served bucket, by the product's own transport, on a clock that never waits."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from tests.unit.listing.bucket import BucketServer, served
from worker.listing.address import BucketAddress
from worker.listing.listing import S3Listing
from worker.listing.pressure import Pressure
from worker.listing.s3_pages import S3Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

BUCKET = "a-bucket"
# One session: it reads the service's model once.
SESSION = boto3.Session("AKIAEXAMPLE", "a-secret", "a-session-token", "ap-northeast-1")


@dataclass(slots=True)
class PatientClock:
    """Waiting only moves the hands."""

    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass(frozen=True, slots=True)
class Lister:
    """A listing and what it is made of."""

    listing: S3Listing
    pages: S3Pages
    pressure: Pressure
    clock: PatientClock


@contextmanager
def lister(server: BucketServer) -> Iterator[Lister]:
    """Serve a bucket, and list it."""
    with served(server):
        s3 = SESSION.client(
            "s3",
            endpoint_url=server.url,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        pressure, clock = Pressure(8), PatientClock()
        pages = S3Pages(
            lambda: BucketAddress(s3, SESSION.get_credentials(), BUCKET),
            pressure=pressure,
            clock=clock,
            chance=lambda: 0.5,
            in_flight=8,
        )
        try:
            yield Lister(S3Listing(pages), pages, pressure, clock)
        finally:
            pages.close()
            s3.close()


@pytest.fixture
def lists() -> Callable[[BucketServer], AbstractContextManager[Lister]]:
    return lister
