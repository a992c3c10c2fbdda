"""Where a bucket is, and the signature on each request: both are botocore's work.

A request is signed by its headers, not by its URL, so no URL carries a credential. boto3's own
call (or its presigning) does the same after a quarter of a millisecond of parameter handling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

    from worker.listing.query import PageQuery


class BucketAddress:
    """A bucket as the client resolves it: endpoint, addressing style, region.

    Args:
        s3: the client whose endpoint counts.
        credentials: are asked for at each request, so those of a role renew themselves; None
            where there are none.
        bucket: the bucket's name.
    """

    def __init__(self, s3: S3Client, credentials: Credentials | None, bucket: str) -> None:
        if credentials is None:
            raise NoCredentialsError
        self._credentials = credentials
        self._region = s3.meta.region_name
        presigned = s3.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket})
        parts = urlsplit(presigned)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._path = parts.path or "/"

    def target(self, query: PageQuery) -> str:
        """The path and the query string of a request."""
        parameters = "&".join(
            f"{name}={quote(value, safe='')}" for name, value in query.parameters().items()
        )
        return f"{self._path}?{parameters}"

    def signed(self, target: str) -> Mapping[str, str]:
        """The headers that let a request for a target in.

        Raises:
            botocore.exceptions.BotoCoreError: the credentials could not be renewed.
        """
        # Told the host, botocore does not take it out of the URL again, which costs a fifth.
        request = AWSRequest("GET", self.origin + target, {"Host": self._host})
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(
            request
        )
        return dict(request.headers.items())
