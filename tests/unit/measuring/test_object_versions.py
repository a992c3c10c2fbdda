"""Versions are read to the last page, also where a key's own lie on two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber

from worker.clock import SystemClock
from worker.measuring.history import existing, stored
from worker.measuring.object_versions import ObjectVersions
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

PREFIX = "service/input/cus_A/"
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def s3() -> Iterator[S3Client]:
    client: S3Client = boto3.client(
        "s3",
        region_name="ap-northeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield client
    client.close()


def entry(
    key: str, version: str, day: int, size: int | None = None, *, latest: bool = False
) -> dict[str, object]:
    told: dict[str, object] = {
        "Key": PREFIX + key,
        "VersionId": version,
        "IsLatest": latest,
        "LastModified": NOON.replace(day=day),
    }
    return told if size is None else {**told, "Size": size}


def test_pages_are_read_to_the_last_and_delete_markers_stand_among_the_versions(
    s3: S3Client,
) -> None:
    asked = {"Bucket": "b", "Prefix": PREFIX}
    first = {
        "IsTruncated": True,
        "NextKeyMarker": PREFIX + "b",
        "NextVersionIdMarker": "b2",
        "Versions": [
            entry("a", "a1", 1, 10),
            entry("b", "b3", 9, 300, latest=True),
        ],
        # Removed on the 5th: `a` is there from the 1st to the 5th.
        "DeleteMarkers": [entry("a", "a2", 5, latest=True), entry("b", "b2", 6)],
    }
    second = {
        "IsTruncated": False,
        "Versions": [entry("b", "b1", 2, 100), entry("c", "c1", 8, 7, latest=True)],
    }
    instants = {
        1: Usage(0, 0),
        3: Usage(110, 2),
        5: Usage(110, 2),
        6: Usage(100, 1),
        7: Usage(0, 0),
        9: Usage(7, 1),
        10: Usage(307, 2),
    }

    with Stubber(s3) as stubber:
        stubber.add_response("list_object_versions", first, asked)
        stubber.add_response(
            "list_object_versions",
            second,
            {**asked, "KeyMarker": PREFIX + "b", "VersionIdMarker": "b2"},
        )
        versions = list(ObjectVersions(s3, "b", SystemClock()).under(PREFIX))
        stubber.assert_no_pending_responses()

    for day, held in instants.items():
        # As a sizing at 01:00 of that day would have found it.
        assert existing(versions, NOON.replace(day=day, hour=1)) == held, day
    assert stored(versions) == Usage(417, 4)
    assert stored(versions, NOON - timedelta(days=3)) == Usage(110, 2)
