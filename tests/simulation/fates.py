"""What becomes of calls to Stripe, and spells of time in which all of them fare alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Fate(Enum):
    """What becomes of one call."""

    ANSWERED = auto()
    ACCEPTED_THEN_500 = auto()
    ACCEPTED_THEN_HANGS = auto()
    ACCEPTED_THEN_RESET = auto()
    DROPPED = auto()
    HANGS = auto()
    NOT_CONNECTED = auto()
    LANDS_LATE = auto()
    THROTTLED = auto()
    CONFLICT = auto()
    BAD_KEY = auto()
    FORBIDDEN = auto()
    SERVER_ERROR = auto()
    INVALID = auto()


ACCEPTS = frozenset(
    {
        Fate.ANSWERED,
        Fate.ACCEPTED_THEN_500,
        Fate.ACCEPTED_THEN_HANGS,
        Fate.ACCEPTED_THEN_RESET,
    }
)
UNANSWERED = frozenset({Fate.ACCEPTED_THEN_HANGS, Fate.HANGS, Fate.LANDS_LATE})
# Half of the faults leave the event taken and the worker in the dark: that is where money is lost.
FATES = (
    *(Fate.ACCEPTED_THEN_500,) * 3,
    *(Fate.ACCEPTED_THEN_HANGS,) * 3,
    *(Fate.ACCEPTED_THEN_RESET,) * 3,
    *(Fate.LANDS_LATE,) * 3,
    *(Fate.DROPPED,) * 2,
    *(Fate.THROTTLED,) * 3,
    *(Fate.CONFLICT,) * 2,
    Fate.HANGS,
    Fate.NOT_CONNECTED,
    Fate.BAD_KEY,
    Fate.FORBIDDEN,
    Fate.SERVER_ERROR,
    *(Fate.INVALID,) * 2,
)
OUTAGE = (
    Fate.DROPPED,
    Fate.HANGS,
    Fate.NOT_CONNECTED,
    Fate.SERVER_ERROR,
    Fate.LANDS_LATE,
    Fate.ACCEPTED_THEN_HANGS,
)
# Nothing gets through: what was taken before stays unseen until it is too late to ask by sending.
UNSEEN = (Fate.ACCEPTED_THEN_HANGS, Fate.ACCEPTED_THEN_500)
DARK = (Fate.DROPPED, Fate.HANGS, Fate.SERVER_ERROR)
BAD_KEY = (Fate.BAD_KEY,)
REFUSING = (Fate.INVALID,)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which every call has one of these fates. Epoch seconds."""

    start: float
    end: float
    fates: tuple[Fate, ...]
