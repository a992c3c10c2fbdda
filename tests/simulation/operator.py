"""The operator: replays dead letters days later, and asks for all that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from producers.outbox import EnqueueFailed
from producers.queues import Queue
from tests.simulation.process import Crashed
from worker.dead_letter import read_dead_letter
from worker.errors import BillingError

if TYPE_CHECKING:
    from tests.simulation.installation import SimulatedInstallation
    from tests.simulation.process import Process
    from tests.simulation.sqs import SQS


class Operator:
    """A person at a command line, whose commands may break off at any call.

    Args:
        process: the machine.
        installation: its parts.
        sqs: the queues.
        at: when to act, epoch seconds.
    """

    def __init__(
        self, process: Process, installation: SimulatedInstallation, sqs: SQS, at: list[float]
    ) -> None:
        self._process = process
        self._installation = installation
        self._sqs = sqs
        self._at = at

    def run(self) -> None:
        """Act at each of the times."""
        for when in self._at:
            now = self._process.scheduler.now
            if when > now:
                self._process.scheduler.sleep(when - now)
            try:
                self._act()
            except (BotoCoreError, ClientError, BillingError, EnqueueFailed):
                continue
            except Crashed:
                self._process.alive = True

    def _act(self) -> None:
        for queue in Queue:
            self._replay(queue)
        if self._process.rng.random() < 0.5:
            self._installation.jobs().resolve(None)

    def _replay(self, queue: Queue) -> None:
        """Put each dead letter back on its queue, then delete it."""
        clients, queues = self._installation.clients, self._installation.queues
        letters = self._sqs.queues[queues.dead_letter_name(queue)]
        for _ in range(len(letters.messages)):
            if not letters.filled(self._process.scheduler.now):
                return
            answer = clients.sqs.receive_message(
                QueueUrl=queues.dead_letter_url(queue),
                MaxNumberOfMessages=10,
                VisibilityTimeout=300,
            )
            for letter in answer.get("Messages", []):
                _, attributes = read_dead_letter(letter.get("MessageAttributes", {}))
                clients.sqs.send_message(
                    QueueUrl=queues.url(queue),
                    MessageBody=letter["Body"],
                    MessageAttributes=attributes,
                )
                clients.sqs.delete_message(
                    QueueUrl=queues.dead_letter_url(queue), ReceiptHandle=letter["ReceiptHandle"]
                )
