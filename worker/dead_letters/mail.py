"""Mail: messages with their attributes, sent by batches, each confirmed or refused by SQS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.dead_letters.batches import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from worker.clock import Clock
    from worker.dead_letter import Attributes

# Half of what SQS takes in one call is enough, and is what a queue of ours takes in one message.
_MOST_BYTES = 262_144
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.2
_SENDERS_FAULT = 400


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to be sent; ``key`` is the caller's name for it."""

    key: str
    body: str
    attributes: Attributes

    @property
    def size(self) -> int:
        """Bytes, as SQS counts them: the body, and each attribute's name, type and value."""
        return len(self.body.encode()) + sum(
            len(name.encode()) + len(value["DataType"]) + _length(value)
            for name, value in self.attributes.items()
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """What SQS said.

    Args:
        ids: by key, the new message's id, of each that SQS confirmed.
        refused: by key, why, of each that it did not take.
    """

    ids: dict[str, str]
    refused: dict[str, str]


class Post:
    """Sends mail.

    Args:
        sqs: the client.
        clock: waits between attempts.
    """

    def __init__(self, sqs: SQSClient, clock: Clock) -> None:
        self._sqs = sqs
        self._clock = clock

    def send(self, url: str, mails: Sequence[Mail]) -> Posted:
        """Send each to the queue; one that SQS refuses does not hold up the others.

        Raises:
            botocore.exceptions.BotoCoreError: SQS did not answer; what was sent is unknown, and a
                message that is sent twice does nothing the second time.
            botocore.exceptions.ClientError: SQS itself failed, again and again.
        """
        posted = Posted({}, {})
        for batch in _batches(mails):
            self._send_batch(url, batch, posted)
        return posted

    def _send_batch(self, url: str, batch: Sequence[Mail], posted: Posted) -> None:
        waiting = {mail.key: mail for mail in batch}
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._clock.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
            for key in self._send_once(url, list(waiting.values()), posted):
                del waiting[key]
            if not waiting:
                return
        posted.refused.update(dict.fromkeys(waiting, f"SQS failed {_ATTEMPTS} times"))

    def _send_once(self, url: str, batch: Sequence[Mail], posted: Posted) -> list[str]:
        """Returns the keys that are settled, one way or the other."""
        try:
            answer = self._sqs.send_message_batch(
                QueueUrl=url, Entries=[_entry(index, mail) for index, mail in enumerate(batch)]
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != _SENDERS_FAULT:
                raise
            if len(batch) == 1:
                posted.refused[batch[0].key] = _reason(error.response["Error"])
                return [batch[0].key]
            # One of them is at fault: alone, each is answered for itself.
            return [key for mail in batch for key in self._send_once(url, [mail], posted)]
        for sent in answer.get("Successful", ()):
            posted.ids[batch[int(sent["Id"])].key] = sent["MessageId"]
        for failed in answer.get("Failed", ()):
            if failed["SenderFault"]:
                posted.refused[batch[int(failed["Id"])].key] = _reason(failed)
        return [mail.key for mail in batch if mail.key in posted.ids or mail.key in posted.refused]


def _batches(mails: Sequence[Mail]) -> Iterator[list[Mail]]:
    batch: list[Mail] = []
    size = 0
    for mail in mails:
        if batch and (len(batch) == BATCH or size + mail.size > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(mail)
        size += mail.size
    if batch:
        yield batch


def _entry(index: int, mail: Mail) -> SendMessageBatchRequestEntryTypeDef:
    return {"Id": str(index), "MessageBody": mail.body, "MessageAttributes": mail.attributes}


def _length(value: Mapping[str, object]) -> int:
    binary = value.get("BinaryValue")
    if isinstance(binary, (bytes, bytearray)):
        return len(binary)
    return len(str(value.get("StringValue", "")).encode())


def _reason(error: Mapping[str, object]) -> str:
    return f"{error.get('Code', 'unknown')}: {error.get('Message', 'no message')}"
