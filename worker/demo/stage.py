"""The stage: the premises with the cast in place, on a clock that can be moved."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from infra.stack import deploy, template_path
from infra.stripe_simulator import (
    RunningClock,
    Seed,
    SeedCustomer,
    SeedSubscription,
    StripeSimulator,
)
from infra.stripe_simulator import Settings as SimulatorSettings
from producers.billing_month import BillingMonth
from producers.messages import Job, Tick
from producers.queues import Queue
from worker.aws import client_config, session_for
from worker.demo.cast import KNOWN_TO_STRIPE
from worker.demo.premises import GRACE_HOURS, keep_key, open_premises, seed_meters
from worker.errors import BillingError
from worker.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from worker.demo.cast import StoredObject
    from worker.operator_installation import OperatorInstallation

_STACK = "siftbeam-data"
# The story ends on the 1st, its last invoice three days later: all of it has to lie behind us,
# for S3 and SQS stamp what they do with the machine's time.
_BEHIND = timedelta(days=5)
_LONGEST_DRAIN_SECONDS = 90.0
_LONGEST_DELIVERY_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_UPLOADERS = 16


class Stalled(BillingError):  # noqa: N818 - says what happened
    """Something that takes moments did not happen in a long while."""


class StageClock:
    """Runs with the machine's clock, and leaps where the story says so."""

    def __init__(self) -> None:
        self.wall = RunningClock()

    def now(self) -> datetime:
        """The story's time: aware, UTC."""
        return self.wall()

    def monotonic(self) -> float:
        """Real seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait real seconds."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the scenes play.

    Args:
        month: the month that is billed.
        clock: the story's.
        installation: the worker.
        simulator: Stripe, whose books can be read.
    """

    month: BillingMonth
    clock: StageClock
    installation: OperatorInstallation
    simulator: StripeSimulator

    def leap(self, *, days_on: int = 0, hour: int, minute: int = 0) -> None:
        """Leap to a time of the month's last day, or so many days after it."""
        day = datetime.combine(self.month.last_day, datetime.min.time(), tzinfo=UTC)
        self.clock.wall.set(day + timedelta(days=days_on, hours=hour, minutes=minute))

    def tick(self, job: Job) -> None:
        """Put a schedule's tick on its queue, as its rule would now."""
        body = Tick(job=job, scheduled_time=self.clock.now().replace(microsecond=0)).body()
        self.installation.fan_out().again(Queue.SCHEDULE, [body])

    def drain(self, *queues: Queue) -> None:
        """Let the worker work until those queues are empty.

        Raises:
            Stalled: they did not become empty.
        """
        consumer = self.installation.consumer(queues, until_empty=True)
        overdue = threading.Event()

        def stop() -> None:
            overdue.set()
            consumer.stop()

        timer = threading.Timer(_LONGEST_DRAIN_SECONDS, stop)
        timer.daemon = True
        timer.start()
        try:
            finished = consumer.run()
        finally:
            timer.cancel()
        if overdue.is_set() or not finished:
            raise Stalled(f"{', '.join(queues)} did not become empty")

    def upload(self, objects: Iterable[StoredObject], done: Callable[[], object]) -> int:
        """Put objects into the bucket, calling ``done`` after each; returns how many."""

        def put(item: StoredObject) -> None:
            self.installation.clients.s3.put_object(
                Bucket=self.installation.settings.bucket, Key=item.key, Body=b"\0" * item.size
            )

        count = 0
        with ThreadPoolExecutor(_UPLOADERS, thread_name_prefix="upload") as pool:
            for _ in pool.map(put, objects):
                count += 1
                done()
        return count

    def await_messages(self, queue: Queue, count: int) -> None:
        """Wait until S3's events have come through EventBridge onto a queue.

        Raises:
            Stalled: they did not come.
        """
        deadline = time.monotonic() + _LONGEST_DELIVERY_SECONDS
        while (there := self.installation.backlog.of(queue).total) < count:
            if time.monotonic() > deadline:
                raise Stalled(f"{count} messages were expected on {queue}, {there} came")
            time.sleep(_LOOK_SECONDS)


def billed_month(real_now: datetime) -> BillingMonth:
    """The last month whose end, and the three days after it, lie behind an instant."""
    return BillingMonth.ended_before(real_now - _BEHIND)


@contextmanager
def open_stage(real_now: datetime, *, logs: bool) -> Iterator[Stage]:
    """Set everything up for a month that lies behind ``real_now`` and begin on its last day.

    Args:
        real_now: the machine's time, UTC.
        logs: whether the worker's log goes to standard error.

    Raises:
        EmbeddedAwsError: the emulator is not installed, or did not start.
    """
    clock = StageClock()
    month = billed_month(real_now)
    simulator = StripeSimulator(clock.wall, SimulatorSettings(grace_hours=GRACE_HOURS))
    # A run's three messages meet: who finds the fact claimed waits until the claim has run out.
    with open_premises(simulator, clock, SIFTBEAM_CLAIM_SECONDS="5") as premises:
        installation = premises.installation
        stage = Stage(month, clock, installation, simulator)
        if logs:
            configure_logs(installation.settings)
        else:
            # What the worker warns of belongs to the story, and the story tells it.
            structlog.configure(
                wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
            )
        stage.leap(hour=0)
        _deploy(installation)
        keep_key(installation)
        _seed(stage)
        yield stage


def _deploy(installation: OperatorInstallation) -> None:
    settings = installation.settings
    client = session_for(settings).client("cloudformation", config=client_config(settings))
    # The machine's own 01:00 must not tick into the story.
    deploy(client, _STACK, template_path("data"), {"SchedulesState": "DISABLED"})


def _seed(stage: Stage) -> None:
    begin = datetime.combine(stage.month.first_day, datetime.min.time(), tzinfo=UTC)
    stage.simulator.seed(
        Seed(
            meters=seed_meters(stage.installation.settings),
            customers=tuple(SeedCustomer(id=customer) for customer in KNOWN_TO_STRIPE),
            subscriptions=tuple(
                SeedSubscription(customer=customer, started=begin) for customer in KNOWN_TO_STRIPE
            ),
        )
    )
