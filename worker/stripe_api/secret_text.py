"""Text from Stripe, made fit for logs, rows and dead letters."""

from __future__ import annotations

import re

# https://docs.stripe.com/keys: secret and restricted keys; masked ones keep their last four.
_KEY = re.compile(r"\b((?:sk|rk)_(?:live|test)_)[!-~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+")
_LONGEST = 300


def safe_text(text: str) -> str:
    """One line of at most 300 characters without control characters and without keys."""
    line = _CONTROL.sub(" ", _KEY.sub(r"\1***", text)).strip()
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
