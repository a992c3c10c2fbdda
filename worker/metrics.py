"""Metrics, as lines on standard output that CloudWatch Logs turns into numbers.

The embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.clock import Clock

NAMESPACE = "SiftBeam/Billing"


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
