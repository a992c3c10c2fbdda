"""Text from Stripe, made fit for logs, rows and dead letters."""

from __future__ import annotations

import re

from worker.redaction import redacted

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+")
_LONGEST = 300


def safe_text(text: str) -> str:
    """One line of at most 300 characters without control characters and without keys."""
    line = _CONTROL.sub(" ", redacted(text)).strip()
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
