"""Multipart uploads that were begun and never completed: S3 stores, and charges, their parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.usage import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client


class IncompleteUploads:
    """Sums up uploads under a prefix.

    Args:
        s3: the client.
        bucket: its name.
    """

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def usage(self, prefix: str, instant: datetime | None = None) -> Usage:
        """The parts' bytes; an upload is not an object, so none is counted.

        Args:
            prefix: the prefix.
            instant: leaves out the parts that were uploaded later; None for none of them.
        """
        total = 0
        uploads = self._s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in uploads:
            for upload in page.get("Uploads", ()):
                total += self._parts(upload["Key"], upload["UploadId"], instant)
        return Usage(total, 0)

    def _parts(self, key: str, upload_id: str, instant: datetime | None) -> int:
        pages = self._s3.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=key, UploadId=upload_id
        )
        try:
            return sum(
                part["Size"]
                for page in pages
                for part in page.get("Parts", ())
                if instant is None or part["LastModified"] <= instant
            )
        except self._s3.exceptions.NoSuchUpload:
            # Completed or given up since it was listed.
            return 0
