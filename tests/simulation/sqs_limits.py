"""What SQS refuses.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.process import refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.exceptions import ClientError

LONGEST_VISIBILITY = 43_200
_LONGEST_DELAY = 900
_MOST_BYTES = 1024 * 1024
_MOST_ATTRIBUTES = 10
_MOST_ENTRIES = 10
INVALID = "InvalidParameterValue"


def refusal(code: str) -> ClientError:
    """What SQS answers instead."""
    return refused(code, code, "SQS")


def why_not_sent(body: str, attributes: Mapping[str, object], delay: int) -> str | None:
    """The code under which a message is refused; None where it is not."""
    if not body:
        return "MissingParameter"
    too_large = len(body) * 4 > _MOST_BYTES and len(body.encode()) > _MOST_BYTES
    if too_large or len(attributes) > _MOST_ATTRIBUTES or delay > _LONGEST_DELAY:
        return INVALID
    return None


def check_batch(entries: Sequence[Mapping[str, object]]) -> None:
    """Refuse a batch that makes no sense, whole."""
    if not entries:
        raise refusal("AWS.SimpleQueueService.EmptyBatchRequest")
    if len(entries) > _MOST_ENTRIES:
        raise refusal("AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise refusal("AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
    bodies = [str(entry.get("MessageBody", "")) for entry in entries]
    if sum(map(len, bodies)) * 4 > _MOST_BYTES and len("".join(bodies).encode()) > _MOST_BYTES:
        raise refusal("AWS.SimpleQueueService.BatchRequestTooLong")


def check_most(most: int) -> None:
    """Refuse to hand out more than ten messages at once, or none."""
    if not 1 <= most <= _MOST_ENTRIES:
        raise refusal(INVALID)


def check_handle(handle: str) -> None:
    """Refuse a receipt handle that was never given out."""
    if ":" not in handle:
        raise refusal("ReceiptHandleIsInvalid")
