"""The weather: how often what goes wrong in one run.

Each run draws its own: some faults are off, others frequent. A run in which everything goes wrong
at once gets stuck early and finds less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the protocol assumes of the world; a run beyond them shows what then happens.

    Args:
        longest_way: seconds that a request may be on its way after its worker gave up. Its machine
            may have stalled for 20 minutes before it left.
        skew: seconds that a clock may be wrong, either way.
        latest_summary: seconds that a summary may lag.
        keeps_ledger: whether the ledger is never put back to an earlier state.
    """

    longest_way: float = 10 * MINUTE
    skew: float = 150.0
    latest_summary: float = 22 * HOUR
    keeps_ledger: bool = True


ASSUMED = Bounds()


@dataclass(slots=True)
class Weather:
    """Chances per call, and durations in seconds."""

    crash: float = 0.0
    stall: float = 0.0
    longest_stall: float = MINUTE
    suspension: float = 0.0
    longest_suspension: float = 40 * HOUR
    slow: float = 0.0
    throttled: float = 0.0
    lost_answer: float = 0.0
    index_lag: float = 1.0
    stale_read: float = 0.0
    duplicate_receipt: float = 0.0
    undone_deletion: float = 0.0
    lost_renewal: float = 0.0
    forgotten: float = 0.0
    stripe_faults: float = 0.0
    skew: float = 0.0
    refusals: float = 0.0
    late_summary: float = 0.0
    latest_summary: float = HOUR
    very_late_report: float = 0.0

    @classmethod
    def drawn(cls, rng: random.Random, bounds: Bounds = ASSUMED) -> Weather:
        """The weather of one run."""

        def sometimes(*rates: float, share: float = 0.6) -> float:
            return rng.choice(rates) if rng.random() < share else 0.0

        return cls(
            crash=sometimes(0.0005, 0.003, 0.01),
            stall=sometimes(0.001, 0.005, 0.02),
            longest_stall=rng.choice((2 * MINUTE, 10 * MINUTE, 45 * MINUTE, 3 * HOUR)),
            suspension=sometimes(0.05, 0.2, share=0.25),
            slow=sometimes(0.01, 0.1),
            throttled=sometimes(0.002, 0.02, 0.1),
            lost_answer=sometimes(0.002, 0.02, 0.1),
            index_lag=rng.choice((0.1, 5.0, 2 * MINUTE)),
            stale_read=sometimes(0.1, 0.5),
            duplicate_receipt=sometimes(0.01, 0.1, 0.3),
            undone_deletion=sometimes(0.01, 0.1, 0.3),
            lost_renewal=sometimes(0.1, 0.5),
            stripe_faults=sometimes(0.05, 0.2, 0.6, share=0.8),
            skew=sometimes(1.0, bounds.skew),
            refusals=sometimes(0.05, 0.3, share=0.4),
            late_summary=sometimes(0.1, 0.9),
            latest_summary=rng.choice((2 * MINUTE, 2 * HOUR, bounds.latest_summary)),
            very_late_report=sometimes(0.5, share=0.2),
        )

    def clear_up(self) -> None:
        """Everything works from now on; clocks stay as wrong as they are."""
        self.crash = self.stall = self.suspension = self.slow = 0.0
        self.throttled = self.lost_answer = 0.0
        self.stale_read = self.duplicate_receipt = self.undone_deletion = 0.0
        self.forgotten = 0.0
        self.lost_renewal = self.stripe_faults = self.late_summary = self.refusals = 0.0
        self.index_lag = 0.1
