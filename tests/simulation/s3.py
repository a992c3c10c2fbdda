# ruff: noqa: N803 - the methods take the names that AWS gives them
"""S3: a bucket whose listing changes between its pages, and the secret's store.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.process import Process


@dataclass(frozen=True, slots=True, order=True)
class StoredObject:
    """An object. Its time is in epoch seconds."""

    size: int
    written_at: float


class Bucket:
    """One bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}

    def put(self, key: str, size: int, now: float) -> None:
        """Write an object."""
        self.objects[key] = StoredObject(size, now)


class S3Client:
    """The low-level client's methods that the product uses.

    Args:
        bucket: the one bucket there is.
        process: whose client it is.
        page: keys a page.
    """

    def __init__(self, bucket: Bucket, process: Process, page: int) -> None:
        self._bucket = bucket
        self._process = process
        self._page = page

    def get_paginator(self, _: str) -> ObjectPages:
        """Pages of `list_objects_v2`."""
        return ObjectPages(self._bucket, self._process, self._page)


class ObjectPages:
    """Pages to the end, each listed when it is reached."""

    def __init__(self, bucket: Bucket, process: Process, page: int) -> None:
        self._bucket = bucket
        self._process = process
        self._page = page

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, object]]:
        """The pages."""
        after = ""
        while True:
            found = self._process.call(
                "s3",
                f"list_objects_v2 {Bucket} {Prefix}",
                lambda at=after: self._list(Prefix, at),  # type: ignore[misc]  # bound now
            )
            page = found[: self._page]
            yield (
                {
                    "Contents": [
                        {
                            "Key": key,
                            "Size": stored.size,
                            "LastModified": datetime.fromtimestamp(stored.written_at, tz=UTC),
                        }
                        for key, stored in page
                    ]
                }
                if page
                else {}
            )
            if len(found) <= self._page:
                return
            after = page[-1][0]

    def _list(self, prefix: str, after: str) -> list[tuple[str, StoredObject]]:
        return sorted(
            (key, stored)
            for key, stored in self._bucket.objects.items()
            if key.startswith(prefix) and key > after
        )


class SecretsClient:
    """Secrets Manager with one secret.

    Args:
        content: the secret's text.
        process: whose client it is.
    """

    def __init__(self, content: str, process: Process) -> None:
        self._content = content
        self._process = process

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:
        """`GetSecretValue`."""
        return self._process.call(
            "secretsmanager",
            f"get_secret_value {SecretId}",
            lambda: {"SecretString": self._content},
        )
