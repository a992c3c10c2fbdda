"""An S3 Inventory as S3 delivers it, and ways in which it may be broken.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import quote_plus

import duckdb
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from urllib3.response import BaseHTTPResponse

BEGAN_AT = datetime(2026, 11, 1, 0, 2, tzinfo=UTC)
CONFIGURATION = "whole-bucket"
_COLUMNS = ("Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size", "LastModifiedDate")
_VERSIONED = ("VersionId", "IsLatest", "IsDeleteMarker")
_PARQUET = {
    "Bucket": "required binary bucket (UTF8);",
    "Key": "required binary key (UTF8);",
    "VersionId": "optional binary version_id (STRING);",
    "IsLatest": "optional boolean is_latest;",
    "IsDeleteMarker": "optional boolean is_delete_marker;",
    "Size": "optional int64 size;",
    "LastModifiedDate": "optional int64 last_modified_date (TIMESTAMP(MILLIS,true));",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An object, a version of one, or a delete marker (no size)."""

    key: str
    size: int | None
    latest: bool = True
    bucket: str | None = None


@dataclass(slots=True)
class Inventory:
    """What S3 delivers; `manifest` and `checksum` replace what it would say."""

    source: str
    destination: str
    file_format: str = "Parquet"
    versions: bool = False
    without: tuple[str, ...] = ()
    began_at: datetime = BEGAN_AT
    manifest: dict[str, object] = field(default_factory=dict)
    checksum: str | None = None

    @property
    def folder(self) -> str:
        return f"inventories/{self.source}/{CONFIGURATION}/"

    @property
    def key(self) -> str:
        return f"{self.folder}{self.began_at:%Y-%m-%dT%H-%MZ}/manifest.json"

    @property
    def uri(self) -> str:
        return f"s3://{self.destination}/{self.key}"

    @property
    def columns(self) -> list[str]:
        left_out = self.without if self.versions else (*self.without, *_VERSIONED)
        return [name for name in _COLUMNS if name not in left_out]

    def deliver(self, s3: S3Client, folder: Path, *files: Sequence[Entry]) -> None:
        """Write the files, the manifest and its checksum."""
        named = []
        for number, entries in enumerate(files):
            body = self._body(folder, entries)
            key = f"{self.folder}data/{number}.{self._ending}"
            s3.put_object(Bucket=self.destination, Key=key, Body=body)
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            named.append({"key": key, "size": len(body), "MD5checksum": md5})
        said = {
            "sourceBucket": self.source,
            "destinationBucket": f"arn:aws:s3:::{self.destination}",
            "version": "2016-11-30",
            "creationTimestamp": str(int(self.began_at.timestamp() * 1000)),
            "fileFormat": self.file_format,
            "fileSchema": self._schema(),
            "files": named,
            **self.manifest,
        }
        body = json.dumps(said, indent=2).encode()
        s3.put_object(Bucket=self.destination, Key=self.key, Body=body)
        s3.put_object(
            Bucket=self.destination,
            Key=self.key.replace(".json", ".checksum"),
            Body=self.checksum or hashlib.md5(body, usedforsecurity=False).hexdigest() + "\n",
        )

    def data(self, number: int = 0) -> str:
        """The key of a data file."""
        return f"{self.folder}data/{number}.{self._ending}"

    @property
    def _ending(self) -> str:
        return "csv.gz" if self.file_format == "CSV" else self.file_format.lower()

    def _schema(self) -> str:
        if self.file_format == "CSV":
            return ", ".join(self.columns)
        return f"message s3.inventory {{  {'  '.join(_PARQUET[name] for name in self.columns)}}}"

    def _body(self, folder: Path, entries: Sequence[Entry]) -> bytes:
        rows = [self._row(entry) for entry in entries]
        if self.file_format == "CSV":
            written = io.StringIO()
            csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
                [_text(row[name]) for name in self.columns] for row in rows
            )
            return gzip.compress(written.getvalue().encode())
        path = folder / "written.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE entries (Bucket VARCHAR, Key VARCHAR, VersionId VARCHAR, "
                "IsLatest BOOLEAN, IsDeleteMarker BOOLEAN, Size BIGINT, LastModifiedDate TIMESTAMP)"
            )
            for row in rows:
                connection.execute(
                    "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [row[name] for name in _COLUMNS],
                )
            chosen = ", ".join(f"{name} AS {_parquet_name(name)}" for name in self.columns)
            connection.execute(
                f"COPY (SELECT {chosen} FROM entries) TO '{path}' (COMPRESSION snappy)"  # noqa: S608 - the test's own words
            )
        return path.read_bytes()

    def _row(self, entry: Entry) -> dict[str, object]:
        return {
            "Bucket": entry.bucket or self.source,
            "Key": quote_plus(entry.key, safe="/") if self.file_format == "CSV" else entry.key,
            "VersionId": "v1",
            "IsLatest": entry.latest,
            "IsDeleteMarker": entry.size is None,
            "Size": entry.size,
            "LastModifiedDate": "2026-10-12T17:50:30.000Z",
        }


@dataclass(slots=True)
class Configuration:
    """What S3 answers when it is asked for the inventory's configuration."""

    id: str = CONFIGURATION
    prefix: str | None = None
    status: int = 200

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        only = "" if self.prefix is None else f"<Filter><Prefix>{self.prefix}</Prefix></Filter>"
        body = f"<InventoryConfiguration><Id>{self.id}</Id>{only}</InventoryConfiguration>"
        if self.status != 200:
            body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        raw = cast("BaseHTTPResponse", _Body(body.encode()))
        return AWSResponse(request.url, self.status, HTTPHeaders(), raw)


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def entries_of(objects: Mapping[str, int]) -> list[Entry]:
    return [Entry(key, size) for key, size in objects.items()]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _parquet_name(name: str) -> str:
    return _PARQUET[name].split()[2].rstrip(";")
