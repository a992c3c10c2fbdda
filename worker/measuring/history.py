"""What existed at an instant, worked out of object versions. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.errors import BillingError
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime


class NotKept(BillingError):  # noqa: N818 - says why there is no answer
    """The bucket kept no versions yet at that instant: what was removed before is not known."""


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a listing of versions.

    Args:
        key: the object's.
        size: in bytes; None for a delete marker.
        written_at: when it was written, UTC.
        latest: whether nothing has been written over it.
        unversioned: whether it was written while the bucket kept no versions (id ``null``).
    """

    key: str
    size: int | None
    written_at: datetime
    latest: bool = False
    unversioned: bool = False


def existing(versions: Iterable[Version], instant: datetime) -> Usage:
    """What a reader would have found at an instant.

    Args:
        versions: all there are under a prefix, those of a key next to one another, as S3 lists
            them (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html).
        instant: aware.

    Raises:
        NotKept: something was written later while the bucket kept no versions.
    """
    total = objects = 0
    for newest in _newest_of_each(_checked(versions, instant), instant):
        if newest.size is not None:
            total += newest.size
            objects += 1
    return Usage(total, objects)


def stored(versions: Iterable[Version], instant: datetime | None = None) -> Usage:
    """Every version there is, whether current or not, delete markers apart.

    Args:
        versions: all there are under a prefix.
        instant: leaves out what was written later; None for nothing.
    """
    total = objects = 0
    for version in versions:
        if version.size is not None and (instant is None or version.written_at <= instant):
            total += version.size
            objects += 1
    return Usage(total, objects)


def _checked(versions: Iterable[Version], instant: datetime) -> Iterator[Version]:
    for version in versions:
        if version.unversioned and version.written_at > instant:
            raise NotKept(
                f"{version.key} was written on {version.written_at:%Y-%m-%d} while the bucket kept "
                f"no versions: how it was on {instant:%Y-%m-%d} is not known"
            )
        yield version


def _newest_of_each(versions: Iterable[Version], instant: datetime) -> Iterator[Version]:
    for _, written in itertools.groupby(versions, key=lambda version: version.key):
        before = [version for version in written if version.written_at <= instant]
        if before:
            # S3 tells whole seconds. Of two writes in one, the latest is marked as such; else the
            # removal is believed: rather too little is billed than too much.
            yield max(before, key=lambda each: (each.written_at, each.latest, each.size is None))
