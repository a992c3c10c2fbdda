"""The bucket, and how it tells of new outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.doctor.check import NotChecked, failed, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import NotificationConfigurationResponseTypeDef

    from worker.doctor.check import Verdict

_MISSING = {"404", "NoSuchBucket", "NotFound"}
_CREATED = ("s3:ObjectCreated:*", "s3:ObjectCreated:Put")


class Bucket:
    """Looks at the bucket.

    Args:
        s3: the client.
        name: the bucket's.
        queue: the full name of the queue that outputs are told to.
    """

    def __init__(self, s3: S3Client, name: str, queue: str) -> None:
        self._s3 = s3
        self._name = name
        self._queue = queue

    def look(self) -> Iterator[Verdict]:
        """Whether it exists and may be used."""
        if self._exists():
            yield ok(self._name)
        else:
            yield failed(
                f"there is no bucket {self._name}",
                "set SIFTBEAM_BUCKET to the bucket that holds the customers' files, or deploy the "
                "data template with CreateBucket=true",
            )

    def look_at_notifications(self) -> Iterator[Verdict]:
        """Whether a new output is told to EventBridge, or to our queue directly.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html
        """
        if not self._exists():
            raise NotChecked(f"there is no bucket {self._name}")
        if self.notifies_queue():
            yield ok(f"to {self._queue}")
            return
        if "EventBridgeConfiguration" in self._notifications():
            yield ok("to EventBridge")
            return
        yield failed(
            "the bucket tells nobody of new outputs: no finished run is noticed before the "
            "nightly sweep",
            "switch on Amazon EventBridge in the bucket's properties, or (this replaces the "
            "notifications there are) aws s3api put-bucket-notification-configuration --bucket "
            f"{self._name} --notification-configuration '{{\"EventBridgeConfiguration\": {{}}}}'",
        )

    def notifies_queue(self) -> bool:
        """Whether S3 itself sends to our queue, without EventBridge between."""
        return any(
            entry["QueueArn"].endswith(f":{self._queue}")
            and any(event in _CREATED for event in entry["Events"])
            for entry in self._notifications().get("QueueConfigurations", ())
        )

    def _notifications(self) -> NotificationConfigurationResponseTypeDef:
        return self._s3.get_bucket_notification_configuration(Bucket=self._name)

    def _exists(self) -> bool:
        try:
            self._s3.head_bucket(Bucket=self._name)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True
