"""A file of letters: JSON Lines, one letter a line, nothing of it lost."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from producers.instant import format_instant
from producers.messages import describe_problems
from producers.queues import Queue
from worker.dead_letters.errors import BadLetterFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from mypy_boto3_sqs.type_defs import (
        MessageAttributeValueOutputTypeDef,
        MessageAttributeValueTypeDef,
    )

    from worker.dead_letter import Attributes
    from worker.dead_letters.letter import Letter


class _Stored(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


class StoredAttribute(_Stored):
    """A message attribute; ``binary`` is base64."""

    data_type: str
    string: str | None = None
    binary: str | None = None

    def value(self) -> MessageAttributeValueTypeDef:
        """As SQS takes it.

        Raises:
            ValueError: neither a string nor base64.
        """
        if self.binary is not None:
            return {
                "DataType": self.data_type,
                "BinaryValue": base64.b64decode(self.binary, validate=True),
            }
        if self.string is None:
            raise ValueError("an attribute has neither string nor binary")
        return {"DataType": self.data_type, "StringValue": self.string}


class StoredLetter(_Stored):
    """A letter as a line of a file. What only informs (ids, instants) is not sent again."""

    version: Literal[1] = 1
    queue: Queue
    message_id: str
    sent_at: str
    reason: str
    body: Annotated[str, Field(min_length=1)]
    attributes: dict[str, StoredAttribute]

    @classmethod
    def of(cls, letter: Letter) -> StoredLetter:
        """Take over a letter, with all attributes it has on the dead-letter queue."""
        return cls(
            queue=letter.queue,
            message_id=letter.message_id,
            sent_at=format_instant(letter.sent_at),
            reason=letter.reason.type,
            body=letter.body,
            attributes={name: store(value) for name, value in letter.attributes.items()},
        )

    def values(self) -> Attributes:
        """The attributes as SQS takes them.

        Raises:
            ValueError: one is malformed.
        """
        return {name: each.value() for name, each in self.attributes.items()}


class LetterFile:
    """Writes letters to a new file, for its owner's eyes; a context manager.

    Args:
        path: where; nothing may be there yet.

    Raises:
        BadLetterFile: there is a file already, or none can be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise BadLetterFile(
                f"cannot write {path}: {error.strerror or error}; name a file that does not exist"
            ) from None
        self._path = path
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def __enter__(self) -> Self:
        """The file is open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self._file.close()

    def write(self, letters: list[Letter]) -> None:
        """Append letters; on return they are on the disk, not in a buffer.

        Raises:
            BadLetterFile: the disk did not take them; what it took before stands there whole.
        """
        lines = [StoredLetter.of(letter).model_dump_json(by_alias=True) for letter in letters]
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        whole = self._file.tell()
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            # A line cut short would make the rest unfit for an import.
            self._file.truncate(whole)
            raise BadLetterFile(
                f"cannot write {self._path}: {error.strerror}; the letters in it are whole, and "
                "no other was removed"
            ) from None


def read_letters(path: Path) -> Iterator[StoredLetter]:
    """Read a file's letters, one at a time.

    Raises:
        BadLetterFile: it cannot be read, or a line is no letter; says which.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                yield _read_line(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise BadLetterFile(f"cannot read {path}: {error}") from None


def _read_line(path: Path, number: int, line: str) -> StoredLetter:
    try:
        letter = StoredLetter.model_validate_json(line)
        letter.values()
    except ValidationError as error:
        raise BadLetterFile(f"{path}, line {number}: {describe_problems(error)}") from None
    except ValueError as error:
        raise BadLetterFile(f"{path}, line {number}: {error}") from None
    return letter


def store(
    value: MessageAttributeValueOutputTypeDef | MessageAttributeValueTypeDef,
) -> StoredAttribute:
    """An attribute as a line of a file keeps it."""
    binary = value.get("BinaryValue")
    if isinstance(binary, (bytes, bytearray)):
        return StoredAttribute(
            data_type=value["DataType"], binary=base64.b64encode(binary).decode()
        )
    return StoredAttribute(data_type=value["DataType"], string=value.get("StringValue", ""))
