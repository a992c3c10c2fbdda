# ruff: noqa: N803 - the methods take the names that AWS gives them
"""S3: a bucket whose listing changes between its pages, and the secret's store.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.sax.saxutils import escape

from worker.listing.page import read_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.process import Process
    from worker.listing.page import Page
    from worker.listing.query import PageQuery


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


class BucketPages:
    """The bucket's listing, each page listed when it is asked for.

    Args:
        bucket: the one bucket there is.
        process: who asks.
        page: keys a page.
    """

    def __init__(self, bucket: Bucket, process: Process, page: int) -> None:
        self._bucket = bucket
        self._process = process
        self._page = page

    def fetch(self, query: PageQuery) -> Page:
        """One page; its token is the key that it ends with."""
        after = query.token or query.after or ""
        found = self._process.call(
            "s3",
            f"list_objects_v2 {query.prefix}",
            lambda: self._list(query.prefix, after),
        )
        more = len(found) > self._page
        return read_page(listing_xml(found[: self._page], more=more), query.prefix)

    def _list(self, prefix: str, after: str) -> list[tuple[str, StoredObject]]:
        return sorted(
            (key, stored)
            for key, stored in self._bucket.objects.items()
            if key.startswith(prefix) and key > after
        )


def listing_xml(found: Sequence[tuple[str, StoredObject]], *, more: bool) -> bytes:
    """A page as S3 writes it."""
    entries = "".join(
        f"<Contents><Key>{quote(key)}</Key><LastModified>"
        f"{datetime.fromtimestamp(stored.written_at, tz=UTC).isoformat()}</LastModified>"
        f"<Size>{stored.size}</Size></Contents>"
        for key, stored in found
    )
    token = f"<NextContinuationToken>{escape(found[-1][0])}</NextContinuationToken>" if more else ""
    return (
        f"<ListBucketResult><EncodingType>url</EncodingType><KeyCount>{len(found)}</KeyCount>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
    ).encode()


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
