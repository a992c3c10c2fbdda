"""The queues' figures: how much waits, and how much is dead, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from producers.queues import Queue
from worker.metrics import Metric

if TYPE_CHECKING:
    from worker.consumer.backlog import Backlog
    from worker.consumer.side_job import Vitals
    from worker.metrics import Metrics

_log = structlog.get_logger()


class QueueFigures:
    """Counts all queues each minute.

    Args:
        backlog: counts one.
        metrics: gets the sums.
    """

    name = "queue-figures"
    pause = 60.0

    def __init__(self, backlog: Backlog, metrics: Metrics) -> None:
        self._backlog = backlog
        self._metrics = metrics

    def run(self, _: Vitals) -> None:
        """Count them, or say why that was not possible."""
        try:
            waiting = sum(self._backlog.of(queue).total for queue in Queue)
            dead = sum(self._backlog.of_dead_letters(queue).total for queue in Queue)
        except (BotoCoreError, ClientError) as error:
            _log.warning("cannot count messages", action="count_failed", error=str(error))
            return
        self._metrics.count({Metric.MESSAGES_WAITING: waiting, Metric.DEAD_LETTERS: dead})
