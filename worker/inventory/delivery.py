"""The delivery of an inventory: its manifest and files, none believed before its MD5 agrees."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from boto3.exceptions import RetriesExceededError
from botocore.exceptions import ClientError
from s3transfer.exceptions import S3DownloadFailedError

from worker.denied import DENIED
from worker.inventory.errors import InventoryRefused
from worker.inventory.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from worker.inventory.location import ManifestLocation
    from worker.inventory.manifest import DataFile

# A file takes some hundred bytes of the manifest, and lists up to millions of objects.
_LARGEST_MANIFEST = 64 * 1024 * 1024
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})


class Delivery:
    """Fetches inventories.

    Args:
        s3: the client.
    """

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3

    def manifest(self, location: ManifestLocation) -> Manifest:
        """The manifest, held against its checksum.

        Raises:
            InventoryRefused: either is missing, or they do not agree, or it is no manifest.
        """
        body = self._read(location.bucket, location.key)
        # S3 writes it last: without it the delivery is not complete.
        said = self._read(location.bucket, location.checksum_key).decode(errors="replace").strip()
        found = hashlib.md5(body, usedforsecurity=False).hexdigest()
        if said.lower() != found:
            raise InventoryRefused(
                f"{location} has the MD5 {found}, and its manifest.checksum says {said[:64]!r}: "
                "it was cut or changed"
            )
        return read_manifest(body)

    def files(self, manifest: Manifest, folder: Path) -> Generator[tuple[DataFile, Path]]:
        """Each file in its turn, checked; it is removed when the next one is asked for.

        The next one is fetched meanwhile, so two lie in the folder at most.

        Raises:
            InventoryRefused: one is missing, is not what the manifest says, or finds no room.
        """
        files = manifest.files
        with ThreadPoolExecutor(1) as fetcher:
            coming = fetcher.submit(self._fetch, manifest, files[0], folder / "0")
            for number, file in enumerate(files, start=1):
                path = coming.result()
                if number < len(files):
                    then = folder / str(number)
                    coming = fetcher.submit(self._fetch, manifest, files[number], then)
                yield file, path
                path.unlink()

    def _fetch(self, manifest: Manifest, file: DataFile, path: Path) -> Path:
        name = f"s3://{manifest.destination_bucket}/{file.key}"
        bucket = manifest.destination_bucket
        try:
            size = self._s3.head_object(Bucket=bucket, Key=file.key)["ContentLength"]
            if size == file.size:
                _check_room(path.parent, name, size)
                self._s3.download_file(bucket, file.key, str(path))
        except ClientError as error:
            raise _refused(error, name) from None
        except (RetriesExceededError, S3DownloadFailedError) as error:
            raise InventoryRefused(f"{name} did not come whole: {error}; try again") from None
        except OSError as error:
            raise InventoryRefused(
                f"{name} could not be kept: {error}; TMPDIR may name another folder"
            ) from None
        if size != file.size:
            raise InventoryRefused(
                f"{name} has {size:,} bytes, and the manifest says {file.size:,}: it was cut or "
                "changed"
            )
        with path.open("rb") as written:
            md5 = hashlib.file_digest(
                written, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
        if md5 != file.md5.lower():
            raise InventoryRefused(
                f"{name} has the MD5 {md5}, and the manifest says {file.md5}: it was changed"
            )
        return path

    def _read(self, bucket: str, key: str) -> bytes:
        name = f"s3://{bucket}/{key}"
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise _refused(error, name) from None
        if answer["ContentLength"] > _LARGEST_MANIFEST:
            raise InventoryRefused(f"{name} has {answer['ContentLength']:,} bytes: no manifest has")
        with answer["Body"] as body:
            return body.read()


def _check_room(folder: Path, name: str, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InventoryRefused(
            f"{name} has {size:,} bytes, and {folder.parent} room for {free:,}: let TMPDIR name a "
            "folder with more"
        )


def _refused(error: ClientError, name: str) -> InventoryRefused | ClientError:
    code = error.response["Error"]["Code"]
    if code in _MISSING:
        return InventoryRefused(f"{name} is not there: the inventory is not complete")
    if code in DENIED:
        return InventoryRefused(
            f"{name} is not there, or may not be read: this needs s3:GetObject (s3:ListBucket "
            "would tell which), and kms:Decrypt where it is encrypted by a key of yours"
        )
    return error
