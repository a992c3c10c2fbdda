"""S3's own notifications, in both shapes, as :class:`FileProcessed` messages.

Through EventBridge: one object a message, its key as it is
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html).
Native: ``Records``, keys URL-encoded with ``+`` for a space, and one ``s3:TestEvent`` when the
notification is set up
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import unquote_plus

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from producers.messages import FileProcessed, UnreadableMessage, describe_problems

_OBJECT_CREATED = "Object Created"
# AWS writes `ObjectCreated:Put`; other S3 servers write `s3:ObjectCreated:Put`.
_CREATED_PREFIXES = ("ObjectCreated:", "s3:ObjectCreated:")


class _Named(BaseModel):
    name: str = Field(min_length=1)


class _Keyed(BaseModel):
    key: str = Field(min_length=1)


class _Detail(BaseModel):
    bucket: _Named
    object: _Keyed


class _Envelope(BaseModel):
    detail_type: Annotated[str, Field(alias="detail-type")]
    source: Literal["aws.s3"]
    time: AwareDatetime
    detail: _Detail


class _Entity(BaseModel):
    bucket: _Named
    object: _Keyed


class _Record(BaseModel):
    event_name: Annotated[str, Field(alias="eventName")]
    event_time: Annotated[AwareDatetime, Field(alias="eventTime")]
    s3: _Entity


class _Notification(BaseModel):
    records: Annotated[list[_Record], Field(alias="Records")]


_ENVELOPE = TypeAdapter(_Envelope)
_NOTIFICATION = TypeAdapter(_Notification)


def is_s3_event(content: dict[str, Any]) -> bool:
    """Tell whether a JSON object has one of S3's shapes rather than ours."""
    return (
        content.get("source") == "aws.s3"
        or "Records" in content
        or content.get("Event") == "s3:TestEvent"
    )


def completions(content: dict[str, Any]) -> tuple[FileProcessed, ...]:
    """The objects that an S3 event says were created; none for a test or another event.

    Raises:
        UnreadableMessage: S3's shape, but a field is missing or wrong.
    """
    if content.get("Event") == "s3:TestEvent":
        return ()
    try:
        if "Records" in content:
            return _from_records(_NOTIFICATION.validate_python(content))
        return _from_envelope(_ENVELOPE.validate_python(content))
    except ValidationError as error:
        raise UnreadableMessage(f"S3 event: {describe_problems(error)}") from None


def _from_envelope(envelope: _Envelope) -> tuple[FileProcessed, ...]:
    if envelope.detail_type != _OBJECT_CREATED:
        return ()
    detail = envelope.detail
    return (
        FileProcessed(bucket=detail.bucket.name, key=detail.object.key, event_time=envelope.time),
    )


def _from_records(notification: _Notification) -> tuple[FileProcessed, ...]:
    return tuple(
        FileProcessed(
            bucket=record.s3.bucket.name,
            key=unquote_plus(record.s3.object.key),
            event_time=record.event_time,
        )
        for record in notification.records
        if record.event_name.startswith(_CREATED_PREFIXES)
    )
