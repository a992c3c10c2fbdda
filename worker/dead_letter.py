"""A dead letter: the message as it was, and why it could not succeed.

SQS takes ten attributes a message
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html);
ours are six. Where that is too many, or where the message has one of its own under such a name,
they travel as one JSON attribute, ``deadLetter``; where even that has no place, one of the
message's own attributes travels inside it and comes back out when the letter is read.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from producers.instant import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mypy_boto3_sqs.type_defs import (
        MessageAttributeValueOutputTypeDef,
        MessageAttributeValueTypeDef,
    )

    ReceivedAttributes = Mapping[str, MessageAttributeValueOutputTypeDef]
    Attributes = dict[str, MessageAttributeValueTypeDef]

MOST_ATTRIBUTES = 10
FOLDED = "deadLetter"
FIELDS = (
    "errorType",
    "errorMessage",
    "failedAt",
    "receiveCount",
    "sourceQueue",
    "originalMessageId",
)
_LONGEST_MESSAGE_BYTES = 1024
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_NOT_ALLOWED = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """Why a message was dead-lettered.

    Args:
        error_type: a name to group by.
        error_message: what happened and what to do, for a person.
        failed_at: when, UTC.
        receive_count: how often it had been received.
        source_queue: the full name of the queue it came from.
        original_message_id: its id there.
    """

    error_type: str
    error_message: str
    failed_at: datetime
    receive_count: int
    source_queue: str
    original_message_id: str


@dataclass(frozen=True, slots=True)
class _Folded:
    death: dict[str, str]
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)


_FOLDED = TypeAdapter(_Folded)


def clean(text: str) -> str:
    """A reason fit for an attribute: no control characters, at most 1,024 bytes, never empty."""
    line = _NOT_ALLOWED.sub(" ", text).strip() or "no reason given"
    cut = line.encode()[:_LONGEST_MESSAGE_BYTES]
    return cut.decode(errors="ignore")


def dead_letter_attributes(original: ReceivedAttributes, death: Death) -> Attributes:
    """The attributes of a dead letter: the message's own, and the reason.

    An earlier death, which stays on a message that SQS's own redrive sent back, gives way.
    """
    _, kept = read_dead_letter(original)
    fields = _fields(death)
    taken = kept.keys() & {*FIELDS, FOLDED}
    if len(kept) + len(FIELDS) <= MOST_ATTRIBUTES and not taken:
        return kept | {
            name: {
                "DataType": "Number" if name == "receiveCount" else "String",
                "StringValue": value,
            }
            for name, value in fields.items()
        }
    inside: dict[str, dict[str, str]] = {}
    if FOLDED in kept:
        inside[FOLDED] = _to_json(kept.pop(FOLDED))
    for name in sorted(kept, reverse=True)[: max(0, len(kept) + 1 - MOST_ATTRIBUTES)]:
        inside[name] = _to_json(kept.pop(name))
    folded = {"death": fields, "attributes": inside} if inside else {"death": fields}
    return kept | {FOLDED: {"DataType": "String", "StringValue": json.dumps(folded)}}


def read_dead_letter(attributes: ReceivedAttributes) -> tuple[Death | None, Attributes]:
    """Take a dead letter's attributes apart: the reason, and the message's own.

    The reason is None for a message that SQS itself redrove, or that others put there. Never
    raises: an attribute that only has our name is the message's own. All six together, each as we
    write it, are a reason.
    """
    own = {name: _copy(value) for name, value in attributes.items()}
    if FOLDED in attributes:
        unfolded = _unfold(attributes[FOLDED].get("StringValue", ""))
        if unfolded is not None:
            folded_death, inside = unfolded
            del own[FOLDED]
            return folded_death, own | inside
    fields = {
        name: attributes[name].get("StringValue", "") for name in FIELDS if name in attributes
    }
    death = _death(fields)
    if death is None:
        return None, own
    return death, {name: value for name, value in own.items() if name not in FIELDS}


def _fields(death: Death) -> dict[str, str]:
    return {
        "errorType": clean(death.error_type),
        "errorMessage": clean(death.error_message),
        "failedAt": format_instant(death.failed_at),
        "receiveCount": str(death.receive_count),
        "sourceQueue": death.source_queue,
        "originalMessageId": death.original_message_id,
    }


def _death(fields: Mapping[str, str]) -> Death | None:
    try:
        return Death(
            error_type=fields["errorType"],
            error_message=fields["errorMessage"],
            failed_at=parse_instant(fields["failedAt"]),
            receive_count=int(fields["receiveCount"]),
            source_queue=fields["sourceQueue"],
            original_message_id=fields["originalMessageId"],
        )
    except (KeyError, ValueError):
        return None


def _unfold(text: str) -> tuple[Death, Attributes] | None:
    """Read ``deadLetter``; None where it is not what we write."""
    try:
        folded = _FOLDED.validate_json(text)
        inside = {name: _from_json(value) for name, value in folded.attributes.items()}
    except (ValueError, KeyError):
        return None
    death = _death(folded.death)
    return None if death is None else (death, inside)


def _copy(value: MessageAttributeValueOutputTypeDef) -> MessageAttributeValueTypeDef:
    if "BinaryValue" in value:
        return {"DataType": value["DataType"], "BinaryValue": value["BinaryValue"]}
    return {"DataType": value["DataType"], "StringValue": value.get("StringValue", "")}


def _to_json(value: MessageAttributeValueTypeDef) -> dict[str, str]:
    binary = value.get("BinaryValue")
    if isinstance(binary, (bytes, bytearray)):
        return {"DataType": value["DataType"], "Binary": base64.b64encode(binary).decode()}
    return {"DataType": value["DataType"], "StringValue": value.get("StringValue", "")}


def _from_json(value: Mapping[str, str]) -> MessageAttributeValueTypeDef:
    if "Binary" in value:
        return {
            "DataType": value["DataType"],
            "BinaryValue": base64.b64decode(value["Binary"], validate=True),
        }
    return {"DataType": value["DataType"], "StringValue": value["StringValue"]}
