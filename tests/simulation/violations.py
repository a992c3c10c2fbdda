"""What may never happen, whatever else does: checked at every write, and again at the end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that may never happen, happened.

    Args:
        rule: which rule, in a word or two.
        about: the fact or row.
        text: what was seen.
        at: when, epoch seconds.
    """

    rule: str
    about: str
    text: str
    at: float

    def __str__(self) -> str:
        return f"{self.rule}: {self.about}: {self.text}"
