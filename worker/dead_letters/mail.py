"""Mail: messages with their attributes, in batches as SQS takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.dead_letters.batches import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from worker.dead_letter import Attributes

# Half of what SQS takes in one call is enough, and is what a queue of ours takes in one message.
_MOST_BYTES = 262_144


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


@dataclass(slots=True)
class Posted:
    """What SQS said; by key.

    Args:
        ids: the new message's id, of each that SQS confirmed.
        refused: why, of each that it did not take.
        doubtful: why it is not known whether SQS took it: it did not answer.
    """

    ids: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)

    def settles(self, key: str) -> bool:
        """Whether it is told what became of one."""
        return key in self.ids or key in self.refused or key in self.doubtful

    def add(self, other: Posted) -> None:
        """Take over what another says."""
        self.ids |= other.ids
        self.refused |= other.refused
        self.doubtful |= other.doubtful


def in_batches(mails: Iterable[Mail]) -> Iterator[list[Mail]]:
    """Ten at a time, and no more bytes than SQS takes in one call."""
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


def _length(value: Mapping[str, object]) -> int:
    binary = value.get("BinaryValue")
    if isinstance(binary, (bytes, bytearray)):
        return len(binary)
    return len(str(value.get("StringValue", "")).encode())
