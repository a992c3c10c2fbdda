"""A selection: which letters a command is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from worker.dead_letters.letter import Letter
    from worker.dead_letters.subject import Subject

_DURATION = re.compile(r"(?:[0-9]{1,6}[smhdw])+")
_PART = re.compile(r"([0-9]+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which letters are meant: those that fit everything that is given.

    Args:
        ids: message ids on the dead-letter queue; None means any.
        customer: a letter about several customers fits none of them: it cannot be replayed in part.
        kind: as :class:`worker.dead_letters.subject.Subject` names it.
        reason: the reason's type.
        older_than: the letter's least age.
        newer_than: the letter's greatest age.
    """

    ids: frozenset[str] | None = None
    customer: str | None = None
    kind: str | None = None
    reason: str | None = None
    older_than: timedelta | None = None
    newer_than: timedelta | None = None

    def fits(self, letter: Letter, subject: Subject, now: datetime) -> bool:
        """Whether a letter is meant."""
        age = now - letter.since
        return (
            (self.ids is None or letter.message_id in self.ids)
            and (self.customer is None or subject.customers == (self.customer,))
            and (self.kind is None or subject.kind == self.kind)
            and (self.reason is None or letter.reason.type == self.reason)
            and (self.older_than is None or age >= self.older_than)
            and (self.newer_than is None or age <= self.newer_than)
        )


def parse_duration(text: str) -> timedelta:
    """Read ``90s``, ``15m``, ``6h``, ``2d``, ``1w``, or several together, such as ``1h30m``.

    Raises:
        ValueError: another form; says which are known.
    """
    if _DURATION.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a duration; write 90s, 15m, 6h, 2d, 1w or 1h30m")
    return timedelta(
        seconds=sum(int(amount) * _SECONDS[unit] for amount, unit in _PART.findall(text))
    )
