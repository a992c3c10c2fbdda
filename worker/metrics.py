"""Metrics, as lines on standard output that CloudWatch Logs turns into numbers.

The embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.clock import Clock

NAMESPACE = "SiftBeam/Billing"


class Metric(StrEnum):
    """The metrics that the alarms and the dashboard of ``infra/`` read.

    CloudWatch charges every custom metric beyond ten, so one figure covers all queues, and these
    ten are all there are: what else is worth counting is a field of a log line.
    """

    SEND_FAILURE = "StripeMeterSendFailure"
    """Sends that came to nothing: rejected, of unknown fate, left to a person, or refused later;
    and each time that Stripe cannot be used at all, or refuses the key."""
    MESSAGES_WAITING = "MessagesWaiting"
    """Visible, in flight and delayed on all queues, every minute; lets the worker scale in."""
    DEAD_LETTERS = "DeadLetters"
    """Messages on all dead-letter queues, every minute."""
    DAILY_ROWS = "DailyRowsWritten"
    """Daily rows written."""
    DAILY_ROWS_MISSING = "DailyRowsMissing"
    """Customers without a row of today, once a day after 03:00 UTC."""
    MONTHS_UNBILLED = "MonthsUnbilled"
    """Customers whose ended month is not billed yet, hourly in the first days of a month."""
    WORKER_ALIVE = "WorkerAlive"
    """1 a minute from each worker whose poll loops turn and whose leases are renewed."""
    OLDEST_DUE = "OldestDueSeconds"
    """How long the fact that waits longest has been due, hourly; 0 where none is."""
    RECONCILE_DIFFERENCE = "ReconcileDifference"
    """Customer meters that differ from Stripe."""
    RECONCILE_AGREED = "ReconcileAgreed"
    """Customer meters that agree with Stripe."""


class Metrics:
    """Writes counts.

    Args:
        clock: stamps them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gathered: Counter[str] = Counter()
        self._lock = threading.Lock()

    def gather(self, name: Metric) -> None:
        """Add one to what the next :meth:`flush` writes: for what happens too often for a line."""
        with self._lock:
            self._gathered[name] += 1

    def flush(self) -> None:
        """Write what was gathered, if anything was."""
        with self._lock:
            gathered, self._gathered = self._gathered, Counter()
        if gathered:
            self.count(gathered)

    def count(self, counts: Mapping[str, int]) -> None:
        """Write counts by name, together in one line and without dimensions."""
        document = {
            "_aws": {
                "Timestamp": round(self._clock.now().timestamp() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [[]],
                        "Metrics": [{"Name": name, "Unit": _unit(name)} for name in counts],
                    }
                ],
            },
            **counts,
        }
        # In one call: several threads write.
        sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def _unit(name: str) -> str:
    return "Seconds" if name == Metric.OLDEST_DUE else "Count"
