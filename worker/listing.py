"""Listing what lies under a prefix of the bucket: every page, exact sums.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html gives at most 1,000 keys
a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


def every_key(key: str) -> bool:  # noqa: ARG001 - the shape of a filter
    """Count every object."""
    return True


class Listing(Protocol):
    """Sums up a prefix."""

    def usage(self, prefix: str, counts: Callable[[str], bool] = every_key) -> Usage:
        """Bytes and objects under ``prefix``, of the keys that count."""
        ...

    def last_written(self, prefix: str) -> datetime | None:
        """When the latest object under ``prefix`` was written, UTC; None where there is none."""
        ...


class S3Listing:
    """Lists a bucket through boto3.

    Args:
        s3: the client.
        bucket: the bucket's name.
    """

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def usage(self, prefix: str, counts: Callable[[str], bool] = every_key) -> Usage:
        """Bytes and objects under ``prefix``, of the keys that count.

        Raises:
            botocore.exceptions.ClientError: a page could not be had. A partial sum is never
                returned.
        """
        total = objects = 0
        for entry in self._entries(prefix):
            if counts(entry["Key"]):
                total += entry["Size"]
                objects += 1
        return Usage(total, objects)

    def last_written(self, prefix: str) -> datetime | None:
        """When the latest object under ``prefix`` was written, UTC; None where there is none."""
        return max((entry["LastModified"] for entry in self._entries(prefix)), default=None)

    def _entries(self, prefix: str) -> Iterator[ObjectTypeDef]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:
            yield from page.get("Contents", ())
