"""Turns: when a meter event may be sent.

Stripe takes one call at a time per customer and meter, and so many a second: 1,000 live, 25 in a
sandbox (https://docs.stripe.com/rate-limits and
https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api). A turn is had before
the fact is claimed, so that no claim runs out in a queue.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker.gathering import apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.clock import Clock
    from worker.ledger.fact import Fact

LIVE_PER_SECOND = 1000
SANDBOX_PER_SECOND = 25
# A refusal for the rate halves ours; it is whole again after a minute without another.
_RECOVERS_IN_SECONDS = 60.0
_SLOWEST_PER_SECOND = 0.5
# What may be sent at once after a pause, in seconds' worth; even so a second stays below the limit.
_BURST_SECONDS = 0.1
BELOW_THE_LIMIT = 1 - _BURST_SECONDS
_LONGEST_WAIT_SECONDS = 20.0


class TokenBucket:
    """A rate of calls that threads keep together, and that gives way when told to.

    Args:
        per_second: how many calls may begin in a second.
        clock: monotonic time, and waiting.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._full = per_second
        self._clock = clock
        self._burst = max(1.0, per_second * _BURST_SECONDS)
        self._tokens = self._burst
        self._counted_at = clock.monotonic()
        self._slowed: tuple[float, float] | None = None
        self._lock = threading.Lock()

    def rate(self, now: float) -> float:
        """Calls a second that are allowed at a monotonic time."""
        if self._slowed is None:
            return self._full
        since, slow = self._slowed
        return min(self._full, slow + self._full * (now - since) / _RECOVERS_IN_SECONDS)

    def take(self) -> None:
        """Wait until a call may begin."""
        with self._lock:
            now = self._clock.monotonic()
            rate = self.rate(now)
            self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * rate)
            self._counted_at = now
            # Below zero: others wait already, and this one comes after them.
            self._tokens -= 1
            wait = -self._tokens / rate
        if wait > 0:
            self._clock.sleep(wait)

    def slow_down(self) -> None:
        """A call was refused for the rate: halve it, and spend no more of what was saved up."""
        with self._lock:
            now = self._clock.monotonic()
            self._slowed = (now, max(_SLOWEST_PER_SECOND, self.rate(now) / 2))
            self._tokens = min(self._tokens, 0.0)
            self._counted_at = now


class Turns:
    """Gives turns to the threads of one process.

    Args:
        share: how much of Stripe's rate this process may use, in percent.
        clock: monotonic time, and waiting.
    """

    def __init__(self, share: int, clock: Clock) -> None:
        part = BELOW_THE_LIMIT * share / 100
        self._buckets = {
            True: TokenBucket(LIVE_PER_SECOND * part, clock),
            False: TokenBucket(SANDBOX_PER_SECOND * part, clock),
        }
        self._queues: dict[tuple[str, str], _Line] = {}
        self._lock = threading.Lock()

    @contextmanager
    def of(self, fact: Fact) -> Iterator[bool]:
        """Hold the turn of a fact's customer and meter; False where it was not had in time."""
        key = (fact.customer_id, fact.event_name)
        with self._lock:
            line = self._queues.setdefault(key, _Line())
            line.length += 1
        try:
            with apart():
                had = line.turn.acquire(timeout=_LONGEST_WAIT_SECONDS)
            try:
                if had:
                    with apart():
                        self._buckets[fact.account.livemode].take()
                yield had
            finally:
                if had:
                    line.turn.release()
        finally:
            with self._lock:
                line.length -= 1
                if not line.length:
                    del self._queues[key]

    def slow_down(self, *, livemode: bool) -> None:
        """Stripe refused a call for the rate."""
        self._buckets[livemode].slow_down()


class _Line:
    """Who waits for one customer and meter."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.length = 0
