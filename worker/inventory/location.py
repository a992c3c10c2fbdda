"""Where an inventory was delivered.

``s3://DESTINATION/[PREFIX/]SOURCE-BUCKET/CONFIG-ID/YYYY-MM-DDTHH-MMZ/manifest.json``
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html).
"""

from __future__ import annotations

from dataclasses import dataclass

_SCHEME = "s3://"
_NAME = "manifest.json"
# Source bucket, configuration, instant, name.
_LAST_PARTS = 4


@dataclass(frozen=True, slots=True)
class ManifestLocation:
    """A manifest's bucket and key."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> ManifestLocation:
        """Read ``s3://bucket/…/manifest.json``.

        Raises:
            ValueError: it is something else; says what it should be.
        """
        bucket, _, key = uri.removeprefix(_SCHEME).partition("/")
        if not uri.startswith(_SCHEME) or not bucket or key.rpartition("/")[2] != _NAME:
            raise ValueError(f"{uri!r} is no manifest: write s3://BUCKET/…/{_NAME}")
        return cls(bucket, key)

    @property
    def checksum_key(self) -> str:
        """The key of the file that holds the manifest's MD5."""
        return self.key.removesuffix(_NAME) + "manifest.checksum"

    def configuration(self, source_bucket: str) -> str | None:
        """The id of the inventory's configuration; None where the key does not tell it."""
        parts = self.key.split("/")[-_LAST_PARTS:]
        if len(parts) < _LAST_PARTS or parts[0] != source_bucket:
            return None
        return parts[1]

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"
