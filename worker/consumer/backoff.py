"""How long a message waits before its next attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS = 2
LONGEST_SECONDS = 900
# SQS's own redrive comes after 20 receipts; ours comes before it, with the reason.
MOST_RECEIPTS = 12
# What a defect of ours breaks is broken the next time too; a few tries tell it from a coincidence.
MOST_RECEIPTS_OF_A_DEFECT = 5


class Backoff:
    """Exponential with full jitter, capped at fifteen minutes.

    Args:
        random: a number from 0 to 1 per call.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random

    def seconds(self, receive_count: int) -> int:
        """Whole seconds until a message is visible again; at least one."""
        ceiling = min(LONGEST_SECONDS, FIRST_SECONDS << min(receive_count - 1, 10))
        return max(1, round(ceiling * self._random()))
