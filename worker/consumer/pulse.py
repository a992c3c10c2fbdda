"""The pulse: the heartbeat file for the health check, and the metric for the alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from worker.health import Heartbeat
from worker.metrics import Metric

if TYPE_CHECKING:
    from pathlib import Path

    from worker.clock import Clock
    from worker.consumer.side_job import Vitals
    from worker.metrics import Metrics

_log = structlog.get_logger()
# A turn is at most one ReceiveMessage, which is tried five times (the short way, then the SDK's
# four), and the pause after it.
_LONGEST_TURN_SECONDS = 200.0
# A permission that is missing, a queue that is gone, a network that lets nothing through: by then
# a new task may fare better, and what is wrong has to show.
_LONGEST_REFUSAL_SECONDS = 600.0
_METRIC_SECONDS = 60.0


class Pulse:
    """Writes how the worker is.

    Args:
        path: the heartbeat file.
        metrics: gets a 1 each minute in which the worker is well.
        clock: the time.
        visibility_seconds: a lease's length; none in hand may go longer without a renewal.
    """

    name = "pulse"
    pause = 5.0

    def __init__(self, path: Path, metrics: Metrics, clock: Clock, visibility_seconds: int) -> None:
        self._path = path
        self._metrics = metrics
        self._clock = clock
        # A lease that ran out is given up at the renewing thread's next look.
        self._lease_limit = visibility_seconds * 1.5 + self.pause
        self._counted_at: float | None = None
        self._complained = False

    def run(self, vitals: Vitals) -> None:
        """Write the file, and once a minute the metric."""
        heartbeat = Heartbeat(
            written_at=self._clock.now().timestamp(),
            poll_age=vitals.poll_age,
            poll_limit=_LONGEST_TURN_SECONDS,
            refused_for=vitals.refused_for,
            refused_limit=_LONGEST_REFUSAL_SECONDS,
            lease_age=vitals.lease_age,
            lease_limit=self._lease_limit,
            in_hand=vitals.in_hand,
            longest_in_hand=vitals.longest_in_hand,
        )
        try:
            heartbeat.write(self._path)
        except OSError as error:
            if not self._complained:
                _log.error(
                    "the heartbeat cannot be written; the health check will call the worker ill",
                    action="heartbeat_failed",
                    file=str(self._path),
                    error=str(error),
                )
            self._complained = True
        now = self._clock.monotonic()
        if self._counted_at is None or now - self._counted_at >= _METRIC_SECONDS:
            self._metrics.flush()
            if heartbeat.problem(heartbeat.written_at) is None:
                self._metrics.count({Metric.WORKER_ALIVE: 1})
            self._counted_at = now
