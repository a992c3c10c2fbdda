"""The AWS account: credentials and region."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from worker.doctor.check import failed, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs import SQSClient

    from worker.doctor.check import Verdict
    from worker.settings import Settings


def look_at_account(sqs: SQSClient, settings: Settings) -> Iterator[Verdict]:
    """Whether the credentials work, and whether ours lies in this account and region.

    Any call that is signed tells; this one needs no permission that the worker lacks.
    """
    named = "AWS_REGION" in os.environ or "AWS_DEFAULT_REGION" in os.environ
    where = f"region {settings.region}{'' if named else ' (the default: AWS_REGION is not set)'}"
    answer = sqs.list_queues(QueueNamePrefix=settings.queue_prefix, MaxResults=1)
    if answer.get("QueueUrls"):
        yield ok(where)
        return
    yield failed(
        f"no queue begins with {settings.queue_prefix!r} in {where}",
        "set AWS_REGION and the credentials to where the data template is deployed, set "
        "SIFTBEAM_QUEUE_PREFIX to its QueuePrefix, or deploy it (`make deploy`, on an emulator "
        "`siftbeam-billing provision`)",
    )
