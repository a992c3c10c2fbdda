"""S3's own notifications, in both shapes, as :class:`FileProcessed` messages.

Through EventBridge: one object a message, its key as it is
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html).
Native: ``Records``, keys URL-encoded with ``+`` for a space, and one ``s3:TestEvent`` when the
notification is set up
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
"""

from __future__ import annotations

from dataclasses import dataclass
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


_ENVELOPE = TypeAdapter(_Envelope)
_RECORD = TypeAdapter(_Record)


def is_s3_event(content: dict[str, Any]) -> bool:
    """Tell whether a JSON object has one of S3's shapes rather than ours."""
    return (
        content.get("source") == "aws.s3"
        or "Records" in content
        or content.get("Event") == "s3:TestEvent"
    )


@dataclass(frozen=True, slots=True)
class Completions:
    """What an S3 event tells of.

    Args:
        files: the objects that it says were created; none for a test or another event.
        problem: why some of its records cannot be read; None where all can.
    """

    files: tuple[FileProcessed, ...] = ()
    problem: str | None = None


def completions(content: dict[str, Any]) -> Completions:
    """The objects that an S3 event says were created.

    Raises:
        UnreadableMessage: S3's shape, but nothing in it can be read.
    """
    if content.get("Event") == "s3:TestEvent":
        return Completions()
    if "Records" in content:
        return _from_records(content["Records"])
    try:
        return Completions(_from_envelope(_ENVELOPE.validate_python(content)))
    except ValidationError as error:
        raise UnreadableMessage(f"S3 event: {describe_problems(error)}") from None


def _from_envelope(envelope: _Envelope) -> tuple[FileProcessed, ...]:
    if envelope.detail_type != _OBJECT_CREATED:
        return ()
    detail = envelope.detail
    return (
        FileProcessed(bucket=detail.bucket.name, key=detail.object.key, event_time=envelope.time),
    )


def _from_records(records: object) -> Completions:
    """One bad record does not hold back the others."""
    if not isinstance(records, list):
        raise UnreadableMessage("S3 event: Records: Input should be a valid list")
    files: list[FileProcessed] = []
    problems: list[str] = []
    for index, content in enumerate(records):
        try:
            record = _RECORD.validate_python(content)
        except ValidationError as error:
            problems.append(f"S3 event: Records.{index}: {describe_problems(error)}")
            continue
        if record.event_name.startswith(_CREATED_PREFIXES):
            files.append(
                FileProcessed(
                    bucket=record.s3.bucket.name,
                    key=unquote_plus(record.s3.object.key),
                    event_time=record.event_time,
                )
            )
    if problems and not files:
        raise UnreadableMessage("; ".join(problems))
    return Completions(tuple(files), "; ".join(problems) or None)
