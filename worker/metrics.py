"""Metrics, as lines on standard output that CloudWatch Logs turns into numbers.

The embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
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
    """Sends that came to nothing: rejected, of unknown fate, left to a person, or refused later."""
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

    def count(self, counts: Mapping[str, int]) -> None:
        """Write counts by name, together in one line and without dimensions."""
        document = {
            "_aws": {
                "Timestamp": round(self._clock.now().timestamp() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [[]],
                        "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
                    }
                ],
            },
            **counts,
        }
        sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
        sys.stdout.flush()
