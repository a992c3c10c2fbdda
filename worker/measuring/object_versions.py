"""The bucket's object versions, and how far back they tell everything."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import ClientError

from worker.measuring.history import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef

    from worker.clock import Clock

_log = structlog.get_logger()
_ENABLED = "Enabled"
_UNVERSIONED = "null"
_NO_RULES = "NoSuchLifecycleConfiguration"
# A bucket's settings change rarely: they are read once for many customers.
_BELIEVED_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Keeping:
    """Whether a bucket keeps versions, and for how long those that are no longer current."""

    on: bool
    kept_for: timedelta | None = None


class ObjectVersions:
    """Reads a bucket's versions.

    Args:
        s3: the client.
        bucket: its name.
        clock: tells how long ago an instant was.
    """

    def __init__(self, s3: S3Client, bucket: str, clock: Clock) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock
        self._known: tuple[float, _Keeping] | None = None

    def reach(self, instant: datetime) -> bool:
        """Whether everything that existed at an instant is still among the versions.

        That takes a bucket that keeps versions and no lifecycle rule that may have removed some
        since. A role that may not ask cannot tell, and that is logged.
        """
        keeping = self._keeping()
        if not keeping.on:
            return False
        return keeping.kept_for is None or self._clock.now() < instant + keeping.kept_for

    def under(self, prefix: str) -> Iterator[Version]:
        """Every version and delete marker under a prefix, by key, paged to the end."""
        pages = self._s3.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:
            # S3 sorts by the keys' UTF-8 bytes; the library hands on two lists.
            yield from heapq.merge(
                _versions(page), _markers(page), key=lambda version: version.key.encode()
            )

    def _keeping(self) -> _Keeping:
        now = self._clock.monotonic()
        if self._known is None or now - self._known[0] >= _BELIEVED_SECONDS:
            self._known = now, self._ask()
        return self._known[1]

    def _ask(self) -> _Keeping:
        try:
            status = self._s3.get_bucket_versioning(Bucket=self._bucket).get("Status")
            if status != _ENABLED:
                return _Keeping(on=False)
            return _Keeping(on=True, kept_for=self._kept_for())
        except ClientError as error:
            _log.warning(
                "cannot tell whether the bucket keeps versions: past days are measured as of now",
                action="versions_unreadable",
                bucket=self._bucket,
                error=error.response["Error"]["Code"],
            )
            return _Keeping(on=False)

    def _kept_for(self) -> timedelta | None:
        """The shortest time after which a rule removes what is no longer current."""
        try:
            rules = self._s3.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"]
        except ClientError as error:
            if error.response["Error"]["Code"] == _NO_RULES:
                return None
            raise
        days = [
            rule["NoncurrentVersionExpiration"].get("NoncurrentDays", 0)
            for rule in rules
            if rule["Status"] == _ENABLED and "NoncurrentVersionExpiration" in rule
        ]
        return timedelta(days=min(days)) if days else None


def _versions(page: ListObjectVersionsOutputTypeDef) -> Iterator[Version]:
    for entry in page.get("Versions", ()):
        yield Version(
            entry["Key"],
            entry["Size"],
            entry["LastModified"].astimezone(UTC),
            latest=entry.get("IsLatest", False),
            unversioned=entry.get("VersionId") == _UNVERSIONED,
        )


def _markers(page: ListObjectVersionsOutputTypeDef) -> Iterator[Version]:
    for entry in page.get("DeleteMarkers", ()):
        yield Version(
            entry["Key"],
            None,
            entry["LastModified"].astimezone(UTC),
            latest=entry.get("IsLatest", False),
            unversioned=entry.get("VersionId") == _UNVERSIONED,
        )
