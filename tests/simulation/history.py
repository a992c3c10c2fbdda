"""The history of a run: what happened when, by whom, and how it ended."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime


class History:
    """Collects lines, or does nothing where nobody will read them."""

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept
        self._lines: list[tuple[float, str, str, str]] = []

    def note(self, now: float, who: str, what: str, result: str) -> None:
        """Add a line."""
        if self.kept:
            self._lines.append((now, who, what, result))

    def digest(self) -> str:
        """The same for two runs only if they did the same."""
        return hashlib.sha256(repr(self._lines).encode()).hexdigest()

    def lines(self, about: str = "") -> list[str]:
        """The lines as a person reads them, or those that mention ``about``."""
        return [
            f"{instant_text(now)}  {who:<10} {what:<70} {result}"
            for now, who, what, result in self._lines
            if about in what or about in result
        ]


def instant_text(seconds: float) -> str:
    """An instant to the millisecond."""
    instant = datetime.fromtimestamp(seconds, tz=UTC)
    return instant.isoformat(sep=" ", timespec="milliseconds")[:-6]
