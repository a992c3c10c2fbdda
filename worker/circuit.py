"""The circuits: while something that messages need is down, those messages are not received.

A message that is not received loses no attempt, so an outage or a bad key pushes nothing to a
dead-letter queue. Whether it is over is asked of the dependency itself, not tried with a message.
"""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import structlog

from producers.queues import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.clock import Clock

_log = structlog.get_logger()
_FAILURES_IN_A_ROW = 5
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0


class Dependency(StrEnum):
    """What messages need."""

    STRIPE = "Stripe"
    DYNAMODB = "DynamoDB"
    S3 = "S3"


NEEDS: Mapping[Queue, frozenset[Dependency]] = {
    # Ticks ask Stripe too, but tolerate that it is down.
    Queue.SCHEDULE: frozenset({Dependency.DYNAMODB}),
    Queue.DAILY_SIZING: frozenset({Dependency.DYNAMODB, Dependency.S3}),
    Queue.MONTHLY_BILLING: frozenset({Dependency.DYNAMODB, Dependency.STRIPE}),
    Queue.FILE_PROCESSED: frozenset({Dependency.DYNAMODB, Dependency.S3, Dependency.STRIPE}),
    Queue.STRIPE_EVENTS: frozenset({Dependency.DYNAMODB, Dependency.STRIPE}),
}
"""What each queue's messages cannot be handled without."""


class Gate(Protocol):
    """Says whether a queue may be received from, and is looked after now and then."""

    def lets_through(self, queue: Queue) -> bool:
        """Whether messages of a queue may be received now."""
        ...

    def tend(self) -> None:
        """Do what is due; called about once a second."""
        ...


class Circuit:
    """One dependency's: opens after failures, closes when a probe succeeds.

    It closes on trial: until a call has succeeded, one more failure opens it again, for longer.

    Args:
        dependency: whose.
        probe: asks it; returns why it cannot be used, or None where it can.
        clock: the time.
        opened: is told each time that it opens.
    """

    def __init__(
        self,
        dependency: Dependency,
        probe: Callable[[], str | None],
        clock: Clock,
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        self.dependency = dependency
        self._probe = probe
        self._clock = clock
        self._opened = opened
        self._failures = 0
        self._pause = _FIRST_PAUSE_SECONDS
        self._probe_at: float | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether receiving is stopped."""
        with self._lock:
            return self._probe_at is not None

    def succeeded(self) -> None:
        """A call was answered."""
        with self._lock:
            if self._probe_at is None:
                self._failures = 0
                self._pause = _FIRST_PAUSE_SECONDS

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
        try:
            problem = self._probe()
        except Exception as error:  # noqa: BLE001 - a probe that fails in any way says: not yet
            problem = f"{type(error).__name__}: {error}"
        with self._lock:
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
            if problem is None:
                self._probe_at = None
                self._failures = _FAILURES_IN_A_ROW - 1
            else:
                self._probe_at = self._clock.monotonic() + self._pause
        if problem is None:
            _log.warning(
                f"{self.dependency} answers again; receiving goes on",
                action="circuit_closed",
                dependency=self.dependency,
            )

    def _open(self, reason: str) -> None:
        if self._probe_at is not None:
            return
        self._probe_at = self._clock.monotonic() + self._pause
        _log.error(
            f"{self.dependency} cannot be used; receiving of what needs it stops",
            action="circuit_opened",
            dependency=self.dependency,
            reason=reason,
        )
        self._opened()


class Circuits:
    """The gate: a queue is received from while everything that its messages need can be used.

    Args:
        circuits: one per dependency.
        needs: what each queue's messages cannot be handled without.
    """

    def __init__(
        self, circuits: tuple[Circuit, ...], needs: Mapping[Queue, frozenset[Dependency]]
    ) -> None:
        self._circuits = circuits
        self._needs = needs

    def lets_through(self, queue: Queue) -> bool:
        """Whether messages of a queue may be received now."""
        return not any(
            circuit.is_open
            for circuit in self._circuits
            if circuit.dependency in self._needs[queue]
        )

    def tend(self) -> None:
        """Probe what is due to be probed."""
        for circuit in self._circuits:
            circuit.tend()
