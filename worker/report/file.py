"""Writing a report's file: all of it, or nothing."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from worker.errors import Permanent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NotWritten(Permanent):
    """A file cannot be written; says which and why."""


@contextmanager
def whole_file(path: Path, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """A file that takes its place only when it is complete; its lines end as they are written.

    Raises:
        NotWritten: it cannot be made, or the disk is full; what stood there before still does.
    """
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            dir=path.parent,
            prefix=f".{path.name}.",
            encoding=encoding,
            newline="",
            delete=False,
        ) as made:
            try:
                yield made
                made.flush()
                # Readable as a file that an editor would have made: a temporary one is its owner's.
                os.chmod(made.fileno(), 0o666 & ~_umask())  # noqa: PTH101 - an open file has no path
                os.replace(made.name, path)  # noqa: PTH105 - as above
            except BaseException:  # Ctrl-C too leaves no half of a file.
                os.unlink(made.name)  # noqa: PTH108 - as above
                raise
    except OSError as error:
        raise NotWritten(f"{path}: {error.strerror or error}") from None


def _umask() -> int:
    """The process's mask; it can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
