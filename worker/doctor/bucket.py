"""The bucket, and how it tells of new outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from worker.denied import is_denied
from worker.doctor.check import NotChecked, failed, ok
from worker.doctor.shell import as_json, aws, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import NotificationConfigurationResponseTypeDef

    from worker.doctor.check import Verdict
    from worker.doctor.shell import JsonValue

_MISSING = {"404", "NoSuchBucket", "NotFound"}
_CREATED = ("s3:ObjectCreated:*", "s3:ObjectCreated:Put")


class Bucket:
    """Looks at the bucket.

    Args:
        s3: the client.
        name: the bucket's.
        queue: the full name of the queue that outputs are told to.
        watched_bucket: the bucket that the rule for new outputs watches; None where unknown.
    """

    def __init__(
        self, s3: S3Client, name: str, queue: str, watched_bucket: Callable[[], str | None]
    ) -> None:
        self._s3 = s3
        self._name = name
        self._queue = queue
        self._watched_bucket = watched_bucket

    def look(self) -> Iterator[Verdict]:
        """Whether it exists and may be used."""
        try:
            there = self._exists()
        except ClientError as error:
            if not is_denied(error):
                raise
            yield failed(
                f"{self._name} may not be looked at: S3 answers HeadBucket with 403",
                f"allow s3:ListBucket on {self._name} to whoever runs doctor; or, if it is the "
                "bucket of another account, set SIFTBEAM_BUCKET to yours",
            )
            return
        if there:
            yield ok(self._name)
            return
        watched = self._watched_bucket()
        if watched is None or watched == self._name:
            yield failed(
                f"there is no bucket {self._name}",
                "set SIFTBEAM_BUCKET to the bucket that holds the customers' files, or deploy the "
                "data template with CreateBucket=true",
            )
        else:
            yield failed(
                f"there is no bucket {self._name}; the rule for new outputs watches {watched}",
                "name the bucket that holds the customers' files",
                setting("BUCKET", watched),
            )

    def look_at_notifications(self) -> Iterator[Verdict]:
        """Whether a new output is told to EventBridge, or to our queue directly.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html
        """
        self.expect()
        if self.notifies_queue():
            yield ok(f"to {self._queue}")
            return
        if "EventBridgeConfiguration" in self._notifications():
            yield ok("to EventBridge")
            return
        yield failed(
            "the bucket tells nobody of new outputs: no finished run is noticed before the "
            "nightly sweep",
            "switch on Amazon EventBridge in the bucket's properties, beside the notifications "
            "there are",
            aws(
                "s3api",
                "put-bucket-notification-configuration",
                "--bucket",
                self._name,
                "--notification-configuration",
                as_json({**self._settable(), "EventBridgeConfiguration": {}}),
            ),
        )

    def notifies_queue(self) -> bool:
        """Whether S3 itself sends to our queue, without EventBridge between."""
        return any(
            entry["QueueArn"].endswith(f":{self._queue}")
            and any(event in _CREATED for event in entry["Events"])
            for entry in self._notifications().get("QueueConfigurations", ())
        )

    def _settable(self) -> dict[str, JsonValue]:
        """The notifications there are: setting them replaces them all."""
        answer = self._notifications()
        # The answer's shape is the request's, beside what every answer carries.
        return {
            str(name): cast("JsonValue", value)
            for name, value in answer.items()
            if name != "ResponseMetadata"
        }

    def _notifications(self) -> NotificationConfigurationResponseTypeDef:
        return self._s3.get_bucket_notification_configuration(Bucket=self._name)

    def expect(self) -> None:
        """Go on only where the bucket is there and may be looked at.

        Raises:
            NotChecked: it is not, which the bucket's own check says.
        """
        try:
            there = self._exists()
        except ClientError as error:
            if not is_denied(error):
                raise
            raise NotChecked("the bucket may not be looked at, see bucket") from None
        if not there:
            raise NotChecked("the bucket is not there, see bucket")

    def _exists(self) -> bool:
        try:
            self._s3.head_bucket(Bucket=self._name)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True
