"""The manifest of an inventory: of what, since when, in which files.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from producers.instant import from_epoch
from worker.inventory.errors import InventoryRefused

if TYPE_CHECKING:
    from datetime import datetime

_YEAR_10000 = 253_402_300_800_000
_ARN = "arn:"
# `optional int64 size;`, with a type in brackets or none: the name is the third word.
_PARQUET_COLUMN = re.compile(r"(?:required|optional)\s+\w+\s+(\w+)")
_NEEDED = ("bucket", "key", "size")
_VERSIONED = ("is_latest", "is_delete_marker")


class Format(StrEnum):
    """How the files are written, of those that can be read."""

    CSV = "CSV"
    PARQUET = "Parquet"


class DataFile(BaseModel):
    """One file of the inventory.

    Attributes:
        key: in the destination bucket.
        size: in bytes.
        md5: in hexadecimal digits.
    """

    model_config = ConfigDict(frozen=True)

    key: str = Field(min_length=1)
    size: NonNegativeInt
    md5: str = Field(alias="MD5checksum", pattern=r"^[0-9a-fA-F]{32}$")


class _Written(BaseModel):
    source_bucket: str = Field(alias="sourceBucket", min_length=1)
    destination_bucket: str = Field(alias="destinationBucket", min_length=1)
    # Milliseconds since the epoch, written as text.
    created_at: int = Field(alias="creationTimestamp", ge=0, lt=_YEAR_10000)
    file_format: str = Field(alias="fileFormat")
    file_schema: str = Field(alias="fileSchema")
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an inventory says of itself.

    Args:
        source_bucket: whose objects it lists.
        destination_bucket: where its files are.
        created_at: when the bucket began to be scanned, UTC.
        format: how its files are written.
        columns: of its files, in order, in Parquet's spelling (``is_latest``).
        files: at least one.
    """

    source_bucket: str
    destination_bucket: str
    created_at: datetime
    format: Format
    columns: tuple[str, ...]
    files: tuple[DataFile, ...]

    @property
    def has_versions(self) -> bool:
        """Whether it lists every version, and not the current ones alone."""
        return set(_VERSIONED) <= set(self.columns)


def read_manifest(body: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        InventoryRefused: it is no manifest, or nothing could be summed up by it; says why.
    """
    try:
        written = _Written.model_validate_json(body)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'it'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise InventoryRefused(f"the manifest is not one of S3 Inventory: {wrong}") from None
    form = _format(written.file_format)
    columns = _columns(form, written.file_schema)
    _check_files(written.files)
    return Manifest(
        source_bucket=written.source_bucket,
        destination_bucket=written.destination_bucket.rpartition(":")[2]
        if written.destination_bucket.startswith(_ARN)
        else written.destination_bucket,
        created_at=from_epoch(written.created_at // 1000),
        format=form,
        columns=columns,
        files=written.files,
    )


def _format(name: str) -> Format:
    try:
        return Format(name)
    except ValueError:
        raise InventoryRefused(
            f"the inventory is written as {name[:40]}, which cannot be read here: configure one "
            "as Parquet or CSV"
        ) from None


def _columns(form: Format, schema: str) -> tuple[str, ...]:
    if form is Format.CSV:
        columns = tuple(_snake(name.strip()) for name in schema.split(","))
    else:
        columns = tuple(_PARQUET_COLUMN.findall(schema))
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        advice = (
            ": configure the inventory with the optional field Size" if "size" in missing else ""
        )
        raise InventoryRefused(f"the inventory's files have no {', '.join(missing)}{advice}")
    if len(set(columns)) < len(columns):
        raise InventoryRefused("the inventory's schema names a column twice")
    if any(name in columns for name in _VERSIONED) and not set(_VERSIONED) <= set(columns):
        raise InventoryRefused(
            "the inventory's schema has one of IsLatest and IsDeleteMarker without the other"
        )
    return columns


def _snake(name: str) -> str:
    """``IsLatest`` as ``is_latest``: CSV and Parquet spell the same names each in its own way."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _check_files(files: tuple[DataFile, ...]) -> None:
    if not files:
        raise InventoryRefused(
            "the manifest names no file: the bucket was empty, or the inventory is not complete"
        )
    keys = [file.key for file in files]
    if len(set(keys)) < len(keys):
        raise InventoryRefused("the manifest names a file twice: its objects would count twice")
