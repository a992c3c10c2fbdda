"""A worker: receives, handles and settles, until it dies; then another takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from producers.queues import Queue
from tests.simulation.process import Crashed
from worker.consumer.backoff import Backoff
from worker.consumer.received import ReceivedMessage
from worker.consumer.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from tests.simulation.installation import SimulatedInstallation
    from tests.simulation.process import Process
    from tests.simulation.sqs import SQS

    class Counts(Protocol):
        deliveries: int


_VISIBILITY = 60
_PAUSE_AFTER_ERROR = 2.0


class SimulatedDeletions:
    """Gathers receipts, to be deleted together: a worker that dies before deletes none of them."""

    def __init__(self, installation: SimulatedInstallation) -> None:
        self._installation = installation
        self._waiting: list[tuple[Queue, str]] = []

    def add(self, source: Queue, receipt_handle: str) -> None:
        """Delete this receipt's message soon."""
        self._waiting.append((source, receipt_handle))

    def flush(self) -> None:
        """Delete what was gathered; what fails comes again."""
        waiting, self._waiting = self._waiting, []
        for source in sorted({source for source, _ in waiting}):
            entries = [
                {"Id": str(index), "ReceiptHandle": handle}
                for index, (where, handle) in enumerate(waiting)
                if where is source
            ]
            try:
                self._installation.clients.sqs.delete_message_batch(
                    QueueUrl=self._installation.queues.url(source),
                    Entries=entries,  # type: ignore[arg-type]  # the same keys
                )
            except (BotoCoreError, ClientError):
                continue


class Worker:
    """One thread of a worker, in a process of its own.

    Args:
        process: its machine.
        installation: its parts.
        sqs: tells when there is something to receive.
        counts: counts the deliveries.
        at_once: messages a receipt.
        ended: called when the process is gone.
    """

    def __init__(
        self,
        process: Process,
        installation: SimulatedInstallation,
        *,
        sqs: SQS,
        counts: Counts,
        at_once: int,
        ended: Callable[[], None],
    ) -> None:
        self.process = process
        self._installation = installation
        self._sqs = sqs
        self._counts = counts
        self._at_once = at_once
        self._ended = ended
        self._held: dict[str, str] = {}
        self._deletions = SimulatedDeletions(installation)
        deletions: object = self._deletions
        self._settling = Settling(
            sqs=installation.clients.sqs,
            queues=installation.queues,
            deletions=deletions,  # type: ignore[arg-type]  # only `add` is called
            backoff=Backoff(process.rng.random),
            clock=process,
        )
        self._names = {installation.queues.name(queue): queue for queue in Queue}
        self._queues = tuple((name, sqs.queues[name]) for name in self._names)

    def run(self) -> None:
        """Work until the process dies."""
        try:
            while True:
                self._round()
        except Crashed:
            self._held.clear()
            self._ended()

    def _round(self) -> None:
        process, sqs = self.process, self._sqs
        now = process.scheduler.now
        filled = [name for name, queue in self._queues if queue.messages and queue.filled(now)]
        if not filled:
            sqs.wait(process.scheduler.park())
            process.scheduler.wait()
            process.check()
            return
        circuit = self._installation.circuit
        if circuit.is_open:
            circuit.tend()
            filled = [
                name for name in filled if self._installation.gate.lets_through(self._names[name])
            ]
            if not filled:
                # The real one probes each minute; a day of that is too much to play through.
                process.sleep(30 + 240 * process.rng.random())
                return
        queue = self._names[process.rng.choice(filled)]
        most = 1 if queue is Queue.SCHEDULE else process.rng.randint(1, self._at_once)
        try:
            messages = self._receive(queue, most)
        except (BotoCoreError, ClientError):
            process.sleep(_PAUSE_AFTER_ERROR)
            return
        for message in messages:
            process.handling = True
            outcome = self._installation.dispatch.handle(message)
            process.handling = False
            self._counts.deliveries += 1
            if process.history.kept:
                process.history.note(
                    process.scheduler.now,
                    process.name,
                    f"handled {message.message_id} (receipt {message.receive_count})",
                    str(outcome),
                )
            self._held.pop(message.receipt_handle, None)
            self._settling.settle(message, outcome)
            if process.rng.random() < 0.5:
                self._deletions.flush()
        self._deletions.flush()

    def _receive(self, queue: Queue, most: int) -> list[ReceivedMessage]:
        process = self.process
        answer = self._installation.clients.sqs.receive_message(
            QueueUrl=self._installation.queues.url(queue),
            MaxNumberOfMessages=most,
            VisibilityTimeout=_VISIBILITY,
        )
        found: list[MessageTypeDef] = answer.get("Messages", [])
        now = process.now()
        messages = [ReceivedMessage.read(queue, message, now) for message in found]
        if messages:
            name = self._installation.queues.name(queue)
            for message in messages:
                self._held[message.receipt_handle] = name
            self._renew_later([message.receipt_handle for message in messages])
        return messages

    def _renew_later(self, handles: list[str]) -> None:
        scheduler = self.process.scheduler
        scheduler.at(scheduler.now + _VISIBILITY / 2, lambda: self._renew(handles))

    def _renew(self, handles: list[str]) -> None:
        """The leases' own thread: a stalled machine renews nothing, a slow call is waited out."""
        process = self.process
        held = [handle for handle in handles if handle in self._held]
        if not held or not process.alive:
            return
        stalled = process.stalled_until > process.scheduler.now
        for handle in held:
            lost = process.weather.lost_renewal
            if not stalled and not (lost and process.rng.random() < lost):
                queue = self._sqs.queues[self._held[handle]]
                self._sqs.set_visibility(queue, handle, _VISIBILITY)
        self._renew_later(held)
