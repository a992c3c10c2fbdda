"""The coverage of an inventory: it may be filtered, and only its configuration tells.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketInventoryConfiguration.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.inventory.errors import InventoryRefused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from worker.prefixes import Prefixes

_OTHERWISE = "; if you know that it lists the whole bucket, say so with --whole"


def check_coverage(
    s3: S3Client, source_bucket: str, configuration: str | None, prefixes: Prefixes
) -> None:
    """Let through an inventory that lists all that lies under both prefixes.

    Args:
        s3: the client.
        source_bucket: whose objects are listed.
        configuration: its id; None where the manifest's key does not tell.
        prefixes: where customers' objects lie.

    Raises:
        InventoryRefused: it lists a part, or nothing tells what it lists.
    """
    if configuration is None:
        raise InventoryRefused(
            "the manifest does not lie where S3 delivers (…/SOURCE-BUCKET/CONFIG-ID/TIME/), so "
            f"nothing tells whether the inventory lists all{_OTHERWISE}"
        )
    name = f"the inventory configuration {configuration} of {source_bucket}"
    try:
        answer = s3.get_bucket_inventory_configuration(Bucket=source_bucket, Id=configuration)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise InventoryRefused(
            f"{name} cannot be read ({code}; this needs s3:GetInventoryConfiguration), so nothing "
            f"tells whether it lists all{_OTHERWISE}"
        ) from None
    found = answer["InventoryConfiguration"]
    # An emulator may answer with nothing, and success.
    if found.get("Id") != configuration:
        raise InventoryRefused(f"{name} is not told, nor therefore what it lists{_OTHERWISE}")
    only = found.get("Filter", {}).get("Prefix", "")
    left_out = [
        prefix for prefix in (prefixes.uploads, prefixes.products) if not prefix.startswith(only)
    ]
    if left_out:
        raise InventoryRefused(
            f"{name} lists only what begins with {only}, and {' and '.join(left_out)} would be "
            "missing: configure one without a filter"
        )
