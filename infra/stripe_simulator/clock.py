"""Clocks the simulator can run on: all UTC and aware, none read by the core itself."""

from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from infra.stripe_simulator.errors import ControlError


@runtime_checkable
class AdjustableClock(Protocol):
    """A clock that `POST /_simulator/clock` can move."""

    def __call__(self) -> datetime:
        """The time, UTC and aware."""
        ...

    def set(self, instant: datetime) -> None:
        """Make `instant` (aware) the time."""
        ...

    def advance(self, step: timedelta) -> None:
        """Move the time by `step`."""
        ...


class SettableClock:
    """Stands still until it is told to move; for tests and simulations."""

    def __init__(self, start: datetime) -> None:
        self._now = _utc(start)

    def __call__(self) -> datetime:
        """The time, UTC and aware."""
        return self._now

    now = __call__

    def set(self, instant: datetime) -> None:
        """Make `instant` (aware) the time."""
        self._now = _utc(instant)

    def advance(self, step: timedelta) -> None:
        """Move the time by `step`."""
        self._now += step


class RunningClock:
    """The machine's UTC time plus an offset; for a simulator that stands alone."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """The time, UTC and aware."""
        return datetime.now(UTC) + self._offset

    now = __call__

    def set(self, instant: datetime) -> None:
        """Make `instant` (aware) the time; it runs on from there."""
        self._offset = _utc(instant) - datetime.now(UTC)

    def advance(self, step: timedelta) -> None:
        """Move the time by `step`."""
        self._offset += step


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ControlError(f"{instant.isoformat()} names no time zone; add +00:00 or Z")
    return instant.astimezone(UTC)
