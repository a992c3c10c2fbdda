"""What AWS calls a missing permission."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

# 403 alone is S3's answer to a HEAD request, which has no body:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException"})


def is_denied(error: ClientError) -> bool:
    """Whether the credentials are good, and may not do this."""
    return error.response["Error"]["Code"] in DENIED
