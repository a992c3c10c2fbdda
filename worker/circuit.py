"""The circuit: while Stripe is out of reach, or refuses the key, nothing is received that needs it.

A message that is not received loses no attempt, so an outage or a bad key pushes nothing to a
dead-letter queue. Whether Stripe is back is asked of Stripe itself, not tried with a message.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import structlog

from producers.queues import Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.clock import Clock

_log = structlog.get_logger()
# The queues whose messages need Stripe.
_GUARDED = frozenset({Queue.MONTHLY_BILLING, Queue.FILE_PROCESSED, Queue.STRIPE_EVENTS})
_FAILURES_IN_A_ROW = 5
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0


class Gate(Protocol):
    """Says whether a queue may be received from, and is looked after now and then."""

    def lets_through(self, queue: Queue) -> bool:
        """Whether messages of a queue may be received now."""
        ...

    def tend(self) -> None:
        """Do what is due; called about once a second."""
        ...


class Circuit:
    """Opens after failures, closes when a probe succeeds.

    Args:
        probe: asks Stripe; returns why it cannot be used, or None where it can.
        clock: the time.
    """

    def __init__(self, probe: Callable[[], str | None], clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self._failures = 0
        self._pause = _FIRST_PAUSE_SECONDS
        self._probe_at: float | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether receiving is stopped."""
        with self._lock:
            return self._probe_at is not None

    def lets_through(self, queue: Queue) -> bool:
        """Whether messages of a queue may be received now."""
        return queue not in _GUARDED or not self.is_open

    def succeeded(self) -> None:
        """A call was answered."""
        with self._lock:
            self._failures = 0

    def failed(self, reason: str) -> None:
        """A call came to nothing; the fifth in a row opens the circuit."""
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                self._open(reason)

    def trip(self, reason: str) -> None:
        """Open at once: no later call can do better."""
        with self._lock:
            self._open(reason)

    def tend(self) -> None:
        """Probe, if the circuit is open and a probe is due."""
        with self._lock:
            if self._probe_at is None or self._clock.monotonic() < self._probe_at:
                return
        problem = self._probe()
        with self._lock:
            if problem is None:
                self._probe_at = None
                self._failures = 0
                self._pause = _FIRST_PAUSE_SECONDS
            else:
                self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
                self._probe_at = self._clock.monotonic() + self._pause
        if problem is None:
            _log.warning("Stripe answers again; receiving goes on", action="circuit_closed")

    def _open(self, reason: str) -> None:
        if self._probe_at is not None:
            return
        self._probe_at = self._clock.monotonic() + self._pause
        _log.error(
            "Stripe cannot be used; receiving of what needs it stops",
            action="circuit_opened",
            reason=reason,
        )
