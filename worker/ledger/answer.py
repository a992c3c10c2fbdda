"""What became of one call to Stripe, as far as the ledger's rules ask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Accepted:
    """Stripe took the event, or already has one with this identifier."""

    duplicate: bool = False


class Door(StrEnum):
    """Why Stripe turned a call away at the door, without taking the event."""

    THROTTLED = "throttled"
    CONFLICT = "conflict"
    BAD_KEY = "bad_key"
    FORBIDDEN = "forbidden"
    NOT_SENT = "not_sent"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """This call was refused; it says nothing about calls before it.

    Args:
        door: which refusal. ``invalid`` is the only one that no later call can pass.
        reason: Stripe's words, without secrets.
    """

    door: Door
    reason: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """No answer, or a server's error: the event may be taken, or may be yet."""

    reason: str


Answer = Accepted | TurnedAway | Unclear
