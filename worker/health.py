"""A worker's health: what it last wrote into its heartbeat file, and whether that is well.

``python -m worker.health`` is the container's health check: it exits 0 or 1 and says why. It runs
twice a minute beside the worker, so it imports nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "SIFTBEAM_HEARTBEAT_FILE"
DEFAULT_FILE = str(Path(tempfile.gettempdir()) / "siftbeam-worker.json")
# Written every five seconds.
_LONGEST_SILENCE_SECONDS = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a worker says of itself. Ages and limits are in seconds.

    Args:
        written_at: epoch seconds.
        poll_age: since a poll loop last turned; that of the slowest.
        poll_limit: how long a turn may take.
        refused_for: since a poll loop's receiving began to fail, if it has failed ever since.
        refused_limit: how long that may be.
        lease_age: since a lease in hand was renewed; that of the oldest, 0 without any.
        lease_limit: how old one may become, unless it is given up.
        in_hand: messages being handled.
        longest_in_hand: how long the oldest of them has been.
    """

    written_at: float
    poll_age: float
    poll_limit: float
    refused_for: float
    refused_limit: float
    lease_age: float
    lease_limit: float
    in_hand: int
    longest_in_hand: float

    def problem(self, now: float) -> str | None:
        """What is wrong at a time (epoch seconds); None where nothing is."""
        silence = now - self.written_at
        if silence > _LONGEST_SILENCE_SECONDS:
            return f"no heartbeat for {silence:.0f} s"
        if self.poll_age > self.poll_limit:
            return f"a poll loop has not turned for {self.poll_age:.0f} s"
        if self.refused_for > self.refused_limit:
            return (
                f"SQS has let no poll of a queue succeed for {self.refused_for:.0f} s; "
                "the log says why (action=receive_failed)"
            )
        if self.lease_age > self.lease_limit:
            return f"a lease has not been renewed for {self.lease_age:.0f} s"
        return None

    def write(self, path: Path) -> None:
        """Replace the file's content; a reader sees the old or the new, never a part.

        Raises:
            OSError: the file cannot be written.
        """
        draft = path.with_name(path.name + ".new")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Heartbeat:
        """What was last written.

        Raises:
            OSError: there is no file, or it cannot be read.
            ValueError: it holds something else.
        """
        found = json.loads(path.read_text())
        try:
            return cls(**{name: found[name] for name in cls.__dataclass_fields__})
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} holds no heartbeat: {error}") from None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the worker is well, and what was said of it."""

    problem: str | None
    heartbeat: Heartbeat | None

    @property
    def text(self) -> str:
        """In one line."""
        if self.problem is not None or self.heartbeat is None:
            return f"unhealthy: {self.problem}"
        return (
            f"healthy: {self.heartbeat.in_hand} messages in hand, "
            f"the longest for {self.heartbeat.longest_in_hand:.0f} s"
        )


def examine(path: Path, now: float) -> Health:
    """Judge a heartbeat file at a time (epoch seconds)."""
    try:
        heartbeat = Heartbeat.read(path)
    except FileNotFoundError:
        return Health(f"no worker has written {path}", None)
    except (OSError, ValueError) as error:
        return Health(f"{path} cannot be read: {error}", None)
    return Health(heartbeat.problem(now), heartbeat)


def heartbeat_file() -> Path:
    """The file that the environment names."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_FILE)


def main() -> None:
    """Say how the worker is, and exit 0 or 1."""
    health = examine(heartbeat_file(), time.time())
    sys.stdout.write(health.text + "\n")
    sys.exit(0 if health.problem is None else 1)


if __name__ == "__main__":
    main()
