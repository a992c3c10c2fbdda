"""The shelf: where manifests lie that nobody gave a place of their own."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from worker.dead_letters.errors import BadManifest
from worker.dead_letters.letter import RETENTION
from worker.dead_letters.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from worker.dead_letters.manifest import Header


class ManifestShelf:
    """A directory of manifests.

    Args:
        directory: made when it is first needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def of_user(cls, environment: Mapping[str, str] = os.environ) -> ManifestShelf:
        """The user's own (https://specifications.freedesktop.org/basedir-spec/latest/).

        Raises:
            BadManifest: the user has no home.
        """
        state = environment.get("XDG_STATE_HOME")
        try:
            home = Path(state) if state else Path.home() / ".local" / "state"
        except RuntimeError:
            raise BadManifest(
                "this user has no home to keep the manifest in; set XDG_STATE_HOME"
            ) from None
        return cls(home / "siftbeam-billing" / "replays")

    def place(self, now: datetime) -> Path:
        """Where a new one goes."""
        return self._directory / f"{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.jsonl"

    def remember(self, path: Path, now: datetime) -> None:
        """Let :meth:`unfinished` find one that was given a place of its own.

        Where there is no room for this, as in a container without a home, only whoever names that
        manifest resumes it.
        """
        with contextlib.suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            self.place(now).symlink_to(path.resolve())

    def unfinished(self, urls: Sequence[str], now: datetime) -> Iterator[tuple[Path, Header]]:
        """Those of interrupted replays of any of these dead-letter queues, the newest first.

        SQS has forgotten every letter of one that is older than the queues keep messages.
        """
        for path in sorted(self._directory.glob("*.jsonl"), reverse=True):
            try:
                header, progress = read_manifest(path)
            except BadManifest:
                # Its replay died before the first line was whole: it has sent nothing.
                continue
            old = now - header.begun_at > RETENTION
            if not (old or progress.finished) and set(urls) & set(header.dead_letter_urls):
                yield path, header
