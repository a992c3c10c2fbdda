"""A worker: the consumer's own parts, on fibers instead of threads, until its process dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from producers.queues import Queue
from tests.simulation.process import Crashed
from worker.consumer.backoff import Backoff
from worker.consumer.deletions import Deletions
from worker.consumer.handling import Handling
from worker.consumer.leases import Leases
from worker.consumer.receiving import Receiving
from worker.consumer.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tests.simulation.installation import SimulatedInstallation
    from tests.simulation.process import Process
    from tests.simulation.sqs import SQS
    from worker.consumer.leases import HeldLease
    from worker.consumer.received import ReceivedMessage
    from worker.outcome import Outcome

    class Counts(Protocol):
        deliveries: int


_PAUSE_AFTER_ERROR = 2.0


class CountedDispatch:
    """The dispatch, each delivery of which is counted and noted.

    Args:
        process: whose.
        dispatch: the worker's own.
        counts: counts the deliveries.
    """

    def __init__(
        self, process: Process, installation: SimulatedInstallation, counts: Counts
    ) -> None:
        self._process = process
        self._dispatch = installation.dispatch
        self._counts = counts

    def handle(self, message: ReceivedMessage) -> Outcome:
        """Handle a message."""
        process = self._process
        process.handling += 1
        try:
            outcome = self._dispatch.handle(message)
        finally:
            process.handling -= 1
        self._counts.deliveries += 1
        if process.history.kept:
            what = f"handled {message.message_id} (receipt {message.receive_count})"
            process.history.note(process.scheduler.now, process.name, what, str(outcome))
        return outcome


class Worker:
    """One process that receives, handles and settles.

    Args:
        process: its machine.
        installation: its parts.
        sqs: tells when there is something to receive.
        counts: counts the deliveries.
        hands: how many messages it handles at once.
        ended: called when the process is gone.
    """

    def __init__(
        self,
        process: Process,
        installation: SimulatedInstallation,
        *,
        sqs: SQS,
        counts: Counts,
        hands: int,
        ended: Callable[[], None],
    ) -> None:
        self.process = process
        self._installation = installation
        self._sqs = sqs
        self._free = hands
        self._ended = ended
        self._wake: Callable[[], object] | None = None
        self._renewing = False
        clients, queues = installation.clients, installation.queues
        visibility = installation.settings.visibility_seconds
        self._deletions = Deletions(clients.sqs, queues, process)
        self._leases = Leases(clients.sqs, queues, process, visibility)
        dispatch: object = CountedDispatch(process, installation, counts)
        self._handling = Handling(
            dispatch=dispatch,  # type: ignore[arg-type]  # only `handle` is called
            settling=Settling(
                sqs=clients.sqs,
                queues=queues,
                deletions=self._deletions,
                backoff=Backoff(process.rng.random),
                clock=process,
            ),
            leases=self._leases,
            clock=process,
            company=installation.together,
        )
        self._receiving = {
            queue: Receiving(
                queue=queue,
                sqs=clients.sqs,
                queues=queues,
                clock=process,
                visibility_seconds=visibility,
                wait_seconds=0,
            )
            for queue in Queue
        }
        self._queues = tuple((queue, sqs.queues[queues.name(queue)]) for queue in Queue)
        self._ticking = False

    def run(self) -> None:
        """Work until the process dies."""
        try:
            while True:
                self._round()
        except Crashed:
            self._ended()

    def _round(self) -> None:
        process, gate = self.process, self._installation.gate
        now = process.scheduler.now
        filled = [queue for queue, there in self._queues if there.messages and there.filled(now)]
        if self._ticking and Queue.SCHEDULE in filled:
            # Ticks run one at a time.
            filled.remove(Queue.SCHEDULE)
        if not filled or not self._free:
            self._wait()
            return
        gate.tend()
        filled = [queue for queue in filled if gate.lets_through(queue)]
        if not filled:
            # The real one probes each minute; a day of that is too much to play through.
            process.sleep(30 + 240 * process.rng.random())
            return
        queue = process.rng.choice(filled)
        most = 1 if queue is Queue.SCHEDULE else min(self._free, 10)
        try:
            messages, received_at = self._receiving[queue].receive(most)
        except (BotoCoreError, ClientError):
            process.sleep(_PAUSE_AFTER_ERROR)
            return
        self._free -= len(messages)
        for message in messages:
            self._begin(message, self._handling.begin(message, received_at))
        if messages:
            self._renew_soon()

    def _wait(self) -> None:
        """Until something may be received, a hand is free, or the process is gone."""
        scheduler = self.process.scheduler
        wake = scheduler.park()
        self._wake = self._once(wake)
        self._sqs.wait(self._wake)
        scheduler.wait()
        self.process.check()

    def _once(self, wake: Callable[[], object]) -> Callable[[], None]:
        def wake_up() -> None:
            if self._wake is wake_up:
                self._wake = None
                wake()

        return wake_up

    def _begin(self, message: ReceivedMessage, lease: HeldLease) -> None:
        scheduler = self.process.scheduler
        ticks = message.queue is Queue.SCHEDULE
        self._ticking = self._ticking or ticks

        def handle() -> None:
            try:
                self.process.check()
                self._handling.handle(message, lease)
                self._deletions.flush()
            except Crashed:
                pass
            self._free += 1
            self._ticking = self._ticking and not ticks
            if self._wake is not None:
                scheduler.at(scheduler.now, self._wake)

        scheduler.spawn(handle, scheduler.now)

    def _renew_soon(self) -> None:
        """The leases' own thread, as long as there is something to renew."""
        if not self._renewing:
            self._renewing = True
            scheduler = self.process.scheduler
            scheduler.at(scheduler.now + self._leases.pause, self._look_at_leases)

    def _look_at_leases(self) -> None:
        process, scheduler = self.process, self.process.scheduler
        self._renewing = False
        if not process.alive or not self._handling.in_hand:
            return
        self._renewing = True
        if process.stalled_until > scheduler.now:
            # A stalled machine renews nothing.
            scheduler.at(process.stalled_until, self._look_at_leases)
        else:
            scheduler.spawn(self._renew, scheduler.now)

    def _renew(self) -> None:
        try:
            self._leases.renew_due()
        except Crashed:
            return
        self._renewing = False
        self._renew_soon()
