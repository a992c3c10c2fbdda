"""SQS standard queues: at least once, in no order.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.sqs_limits import check_handle
from tests.simulation.weather import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.faults import Faults
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather

RETENTION = 14 * DAY
MOST_RECEIPTS = 20
_SPARE = 5


@dataclass(slots=True)
class Stored:
    """A message on a queue. Times are epoch seconds."""

    id: str
    body: str
    attributes: dict[str, dict[str, str]]
    sent_at: float
    visible_at: float
    first_received_at: float | None = None
    receipts: int = 0
    handle: str = ""


class SimulatedQueue:
    """One queue.

    Args:
        name: its full name.
        redrive: where a message goes that was received too often.
    """

    def __init__(self, name: str, redrive: SimulatedQueue | None = None) -> None:
        self.name = name
        self.redrive = redrive
        self.messages: dict[str, Stored] = {}
        self.expired: list[Stored] = []

    def visible(self, now: float) -> int:
        """How many messages can be received now."""
        return sum(message.visible_at <= now for message in self.messages.values())

    def delayed(self, now: float) -> int:
        """How many could not be received yet."""
        return sum(
            message.receipts == 0 and message.visible_at > now for message in self.messages.values()
        )

    def filled(self, now: float) -> bool:
        """Whether one can be."""
        return any(message.visible_at <= now for message in self.messages.values())


class SQS:
    """All queues, and who waits for a message.

    Args:
        names: the queues' full names, without dead-letter queues.
        scheduler: time.
        faults: what goes wrong.
        weather: how often.

    Attributes:
        letters: whatever was ever sent to a dead-letter queue.
        may_forget: whether a message with that body may be lost without a trace.
    """

    def __init__(
        self, names: Sequence[str], scheduler: Scheduler, faults: Faults, weather: Weather
    ) -> None:
        self.scheduler = scheduler
        self.faults = faults
        self.weather = weather
        self.queues: dict[str, SimulatedQueue] = {}
        self.redriven: Counter[str] = Counter()
        self.letters: list[Stored] = []
        self.may_forget: Callable[[str], bool] = lambda _: False
        self._waiting: list[Callable[[], object]] = []
        self._count = 0
        for name in names:
            letters = SimulatedQueue(f"{name}-dlq")
            self.queues[letters.name] = letters
            self.queues[name] = SimulatedQueue(name, letters)

    def send(
        self, queue: str, body: str, attributes: Mapping[str, dict[str, str]], delay: float = 0.0
    ) -> str:
        """Put a message on a queue; returns its id."""
        self._count += 1
        now = self.scheduler.now
        # Usually visible at once, sometimes a moment later.
        late = self.faults.random() ** 4
        message = Stored(
            id=f"m{self._count}",
            body=body,
            attributes=dict(attributes),
            sent_at=now,
            visible_at=now + delay + late,
        )
        self.queues[queue].messages[message.id] = message
        self._announce(self.queues[queue], message)
        if self.queues[queue].redrive is None:
            self.letters.append(message)
        else:
            self._forget_soon(self.queues[queue], message)
        return message.id

    def receive(self, queue: SimulatedQueue, most: int, visibility: float) -> list[Stored]:
        """Take up to so many messages."""
        now, weather = self.scheduler.now, self.weather
        found = []
        for message in list(queue.messages.values()):
            if now - message.sent_at > RETENTION:
                queue.expired.append(queue.messages.pop(message.id))
            elif message.visible_at <= now or self.faults.strike(
                "duplicate_receipt", weather.duplicate_receipt / 10
            ):
                found.append(message)
        if len(found) > 1:
            # The message that was received too often is not handed out, so some more are drawn.
            found = self.faults.rng.sample(found, min(len(found), most + _SPARE))
        taken: list[Stored] = []
        for message in found:
            if len(taken) == most:
                break
            if message.receipts >= MOST_RECEIPTS and queue.redrive is not None:
                self._redrive(queue, queue.redrive, message)
                continue
            message.receipts += 1
            if message.first_received_at is None:
                message.first_received_at = now
            message.handle = f"{message.id}:{message.receipts}"
            message.visible_at = now + visibility
            self._announce(queue, message)
            taken.append(message)
        if taken and self.faults.strike("duplicate_receipt", weather.duplicate_receipt):
            # Another server has a copy and does not know yet: it is received twice at once.
            taken[-1].visible_at = now + self.faults.random()
            self._announce(queue, taken[-1])
        return taken

    def _forget_soon(self, queue: SimulatedQueue, message: Stored) -> None:
        """Lose a message before it is received or while it is in hand, as a purge does."""
        if self.faults.strike("forgotten", self.weather.forgotten):

            def forget() -> None:
                if self.may_forget(message.body):
                    queue.messages.pop(message.id, None)

            after = 60 * self.faults.random() ** 6
            self.scheduler.at(self.scheduler.now + after, forget)

    def delete(self, queue: SimulatedQueue, handle: str) -> None:
        """Delete a message; one whose server was away comes back."""
        check_handle(handle)
        identity = handle.split(":", maxsplit=1)[0]
        message = queue.messages.get(identity)
        if message is None:
            return
        if message.handle != handle and self.faults.random() < 0.5:
            return
        if self.faults.strike("undone_deletion", self.weather.undone_deletion):
            message.visible_at = self.scheduler.now + 3600 * self.faults.random() ** 2
            self._announce(queue, message)
            return
        del queue.messages[identity]

    def set_visibility(self, queue: SimulatedQueue, handle: str, seconds: float) -> bool:
        """Change when a message is visible again; False where the receipt is out of date."""
        message = queue.messages.get(handle.split(":", maxsplit=1)[0])
        now = self.scheduler.now
        if message is None or message.visible_at <= now:
            return False
        if message.handle != handle and self.faults.random() < 0.5:
            return False
        message.visible_at = now + seconds
        self._announce(queue, message)
        return True

    def wait(self, wake: Callable[[], object]) -> None:
        """Have somebody woken when a message may be visible."""
        self._waiting.append(wake)

    def wake_all(self) -> None:
        """Wake whoever waits."""
        waiting, self._waiting = self._waiting, []
        now = self.scheduler.now
        for wake in waiting:
            self.scheduler.at(now + 0.5 * self.faults.random() ** 2, wake)

    def _announce(self, queue: SimulatedQueue, message: Stored) -> None:
        """Wake whoever waits once a message is visible, if it then is."""

        def look() -> None:
            visible = message.visible_at <= self.scheduler.now
            if self._waiting and visible and message.id in queue.messages:
                self.wake_all()

        self.scheduler.at(message.visible_at, look)

    def _redrive(self, source: SimulatedQueue, target: SimulatedQueue, message: Stored) -> None:
        del source.messages[message.id]
        message.visible_at, message.receipts = self.scheduler.now, 0
        target.messages[message.id] = message
        self.redriven[source.name] += 1
