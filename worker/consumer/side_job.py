"""Side jobs: what is done now and then beside the handling of messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What the consumer knows of itself. Ages are in seconds.

    Args:
        poll_age: since a poll loop last turned; that of the slowest.
        refused_for: since a poll loop's receiving began to fail, if it has failed ever since;
            that of the longest.
        lease_age: since a lease in hand was renewed; that of the oldest.
        in_hand: messages received and not settled.
        longest_in_hand: how long the oldest of them has been in hand.
    """

    poll_age: float
    refused_for: float
    lease_age: float
    in_hand: int
    longest_in_hand: float


class SideJob(Protocol):
    """Is run again and again on a thread of its own; if it raises, the worker ends."""

    @property
    def name(self) -> str:
        """Names the thread."""
        ...

    @property
    def pause(self) -> float:
        """Seconds between two runs."""
        ...

    def run(self, vitals: Vitals) -> None:
        """Do it once."""
        ...
