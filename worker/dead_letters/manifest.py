"""A manifest: what a replay is about to send and what SQS has confirmed, on the disk in that order.

JSON Lines, only ever appended to. A letter's id is written as intended, and is on the disk, before
its copy is sent; as sent before the original is deleted; as deleted after that. So whoever reads
the file after a crash knows of every letter whether its copy was sent, and the few of which that
cannot be known.
"""

from __future__ import annotations

import fcntl
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from producers.messages import describe_problems
from worker.dead_letters.errors import BadManifest, ManifestInUse
from worker.dead_letters.replay_order import ReplayOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from worker.clock import Clock

# A process that was killed may leave a sender behind, which ends its last calls within this.
_LOCK_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.1


class Header(BaseModel):
    """A manifest's first line.

    Args:
        order: which letters, and how.
        dead_letter_urls: where they lie: another account's manifest is not resumed here.
        begun_at: when the replay began, UTC; ages count to here.
        sqs_time: the same by SQS's clock, which stamps letters; None where it did not tell.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )

    version: Literal[1] = 1
    order: ReplayOrder
    dead_letter_urls: tuple[str, ...]
    begun_at: datetime
    sqs_time: datetime | None


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    intended: tuple[str, ...] = ()
    sent: dict[str, str] = {}
    unsent: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    skipped: int = 0
    at: datetime | None = None
    finished: bool = False


@dataclass(slots=True)
class Progress:
    """How far a replay came.

    Args:
        doubtful: letters whose copy was about to be sent; whether it was is unknown.
        undeleted: letters whose copy was sent and that may still lie on their queue.
        copies: the ids of the copies.
        skipped: how many letters were skipped; a process that was killed leaves them hidden.
        last_at: when the last sending began, UTC; None where none did.
        finished: whether the replay came to its end.
    """

    doubtful: set[str] = field(default_factory=set)
    undeleted: set[str] = field(default_factory=set)
    copies: set[str] = field(default_factory=set)
    skipped: int = 0
    last_at: datetime | None = None
    finished: bool = False

    def _add(self, line: _Line) -> None:
        self.doubtful.update(line.intended)
        self.doubtful.difference_update(line.sent, line.unsent)
        self.undeleted.update(line.sent)
        self.copies.update(line.sent.values())
        self.undeleted.difference_update(line.deleted)
        self.skipped += line.skipped
        self.last_at = line.at or self.last_at
        self.finished |= line.finished


class Journal:
    """Appends to a manifest; safe between threads, and between processes that share the file.

    Every method raises :class:`BadManifest` where the disk does not take the whole line: what it
    says must not be acted on then.

    Args:
        descriptor: the file, open for appending.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def intend(self, ids: Iterable[str], at: datetime) -> None:
        """Write which letters' copies are about to be sent; on return it is on the disk."""
        self._write(_Line(intended=tuple(ids), at=at), durable=True)

    def sent(self, copies: Mapping[str, str]) -> None:
        """Write which copies SQS confirmed, by letter."""
        self._write(_Line(sent=dict(copies)))

    def unsent(self, ids: Iterable[str]) -> None:
        """Write which letters were certainly not sent."""
        self._write(_Line(unsent=tuple(ids)))

    def secure(self) -> None:
        """Return once everything written is on the disk."""
        _sync(self._descriptor)

    def deleted(self, ids: Iterable[str]) -> None:
        """Write which letters are gone from their queue."""
        self._write(_Line(deleted=tuple(ids)))

    def skipped(self, letters: int) -> None:
        """Write how many letters were skipped, and so stay hidden while the pass goes on."""
        self._write(_Line(skipped=letters))

    def finish(self) -> None:
        """Write that nothing is open any more."""
        self._write(_Line(finished=True), durable=True)

    def _write(self, line: _Line, *, durable: bool = False) -> None:
        if line == _Line():
            return
        with self._lock:
            _append(self._descriptor, line.model_dump_json(exclude_defaults=True))
            if durable:
                _sync(self._descriptor)


class Manifest:
    """A manifest in use: locked, read, and appended to through its journal."""

    def __init__(self, path: Path, descriptor: int, header: Header, progress: Progress) -> None:
        self.path = path
        self.descriptor = descriptor
        self.header = header
        self.progress = progress
        self.journal = Journal(descriptor)

    @classmethod
    def begin(cls, path: Path, header: Header, clock: Clock) -> Manifest:
        """Make a new one.

        Raises:
            BadManifest: there is a file already, or none can be made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise BadManifest(
                f"cannot write the manifest {path}: {error.strerror}; name a new file with "
                "--manifest"
            ) from None
        _lock(path, descriptor, clock)
        _append(descriptor, header.model_dump_json(by_alias=True))
        _sync(descriptor)
        return cls(path, descriptor, header, Progress())

    @classmethod
    def resume(cls, path: Path, clock: Clock) -> Manifest:
        """Open one that a replay left behind.

        Raises:
            BadManifest: it cannot be read, or is no manifest.
            ManifestInUse: the replay that writes it still runs.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise BadManifest(f"cannot read the manifest {path}: {error.strerror}") from None
        _lock(path, descriptor, clock)
        header, progress = read_manifest(path)
        # A line that a crash cut short stays alone on its line.
        if path.read_bytes()[-1:] != b"\n":
            _append(descriptor, "")
        return cls(path, descriptor, header, progress)

    def __enter__(self) -> Self:
        """It is open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it, which unlocks it."""
        os.close(self.descriptor)


def read_manifest(path: Path) -> tuple[Header, Progress]:
    """Read a manifest, in use or not.

    Raises:
        BadManifest: it cannot be read, or is no manifest; says which line.
    """
    progress = Progress()
    header = None
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if header is None:
                    header = Header.model_validate_json(text)
                elif text.strip():
                    _take(progress, text, path, number)
    except OSError as error:
        raise BadManifest(f"cannot read the manifest {path}: {error.strerror}") from None
    except ValidationError as error:
        raise BadManifest(f"{path} is no manifest: {describe_problems(error)}") from None
    if header is None:
        raise BadManifest(f"{path} is empty: its replay had sent nothing; remove it")
    return header, progress


def _append(descriptor: int, line: str) -> None:
    """Write a line in one call, so that lines of two processes never mix."""
    content = (line + "\n").encode()
    try:
        taken = os.write(descriptor, content)
    except OSError as error:
        raise BadManifest(_unwritable(error.strerror)) from None
    # A disk that fills up takes what still fits, and complains only the next time.
    if taken < len(content):
        raise BadManifest(_unwritable("the disk took only a part of a line"))


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise BadManifest(_unwritable(error.strerror)) from None


def _unwritable(why: str | None) -> str:
    return f"the manifest cannot be written: {why}; mend that, and the same command resumes"


def _take(progress: Progress, text: bytes, path: Path, number: int) -> None:
    try:
        line = _Line.model_validate_json(text)
    except ValidationError as error:
        # Cut short by a crash: the process died before it acted on the line.
        if any(each["type"] == "json_invalid" for each in error.errors()):
            return
        raise BadManifest(f"{path}, line {number}: {describe_problems(error)}") from None
    progress._add(line)  # noqa: SLF001 - of this module


def _lock(path: Path, descriptor: int, clock: Clock) -> None:
    deadline = clock.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if clock.monotonic() > deadline:
                os.close(descriptor)
                raise ManifestInUse(f"the replay that writes {path} still runs") from None
            clock.sleep(_LOCK_POLL_SECONDS)
        else:
            return
