"""One run: a seed, a world, its weather, and what came of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation import installation as installed
from tests.simulation.dynamodb import DynamoDB, DynamoDBClient, Index, Table
from tests.simulation.final_check import check
from tests.simulation.guard import Guard
from tests.simulation.history import History
from tests.simulation.installation import SETTINGS, SimulatedInstallation, aws_clients
from tests.simulation.operator import Operator
from tests.simulation.process import Process
from tests.simulation.s3 import Bucket, BucketPages, SecretsClient
from tests.simulation.scheduler import Scheduler
from tests.simulation.sqs import SQS, SQSClient
from tests.simulation.stripe_world import (
    BAD_KEY_FATES,
    DARK_FATES,
    OUTAGE_FATES,
    REFUSING_FATES,
    UNSEEN_FATES,
    MeterEventLine,
    Spell,
    StripeLine,
    StripeWorld,
)
from tests.simulation.violations import Violation  # noqa: TC001 - a field of a dataclass
from tests.simulation.weather import DAY, HOUR, MINUTE, Weather
from tests.simulation.worker_process import Worker
from tests.simulation.workload import Busy, Workload, month_end_of

_QUEUES = tuple(
    f"siftbeam-{name}"
    for name in ("schedule", "daily-sizing", "monthly-billing", "file-processed", "stripe-events")
)
# Long enough for 23 hours of resending, a day of asking, two days of waiting for the summaries.
_CALM = 6 * DAY


@dataclass(slots=True)
class Result:
    """What came of a run."""

    seed: int
    deliveries: int = 0
    violations: list[Violation] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    history: History = field(default_factory=lambda: History(kept=False))


class Run:
    """One simulated installation from the last days of a month to a week after it.

    Args:
        seed: repeats the run exactly.
        record: keep its history.
    """

    def __init__(self, seed: int, *, record: bool = False) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - a simulation has to repeat itself
        self.history = History(kept=record)
        self.weather = Weather.drawn(self.rng)
        self.month, start = Workload.start_of(self.rng)
        self.scheduler = Scheduler(start)
        self.database = billing_tables(self.scheduler, self.rng, self.weather)
        self.sqs = SQS(_QUEUES, self.scheduler, self.rng, self.weather)
        self.bucket = Bucket()
        self.stripe = StripeWorld(self.scheduler, self.rng, self.weather)
        self.guard = Guard(
            self.scheduler,
            self.database["siftbeam-billing-ledger"],
            self.database["siftbeam-storage-usage-daily"],
            self.database["siftbeam-storage-usage-monthly"],
        )
        self.stripe.on_accept = self.guard.event_taken
        self.deliveries = 0
        self.reached: Counter[str] = Counter()
        self._page = self.rng.randint(1, 8)
        self._at_once = self.rng.randint(1, 10)
        self._workers: list[Worker] = []
        self._born = 0
        month_end = month_end_of(self.month)
        self._clears_at = month_end + self.rng.uniform(1.0, 3.0) * DAY
        self._until = self._clears_at + _CALM
        self.on_the_brink = False
        self._busy = Busy(start + DAY, start + DAY + 90.0, share=0.3)
        self._spells = self._drawn_spells(start)
        self.workload = Workload(
            self.rng,
            self.scheduler,
            self.database,
            self.sqs,
            self.bucket,
            self.month,
            start,
            month_end,
            self._busy,
        )

    def execute(self) -> Result:
        """Run to the end, or to the first violation."""
        installed.DEFECTS.clear()
        scheduler, rng = self.scheduler, self.rng
        self.workload.plan(self._until)
        for _ in range(rng.randint(1, 4)):
            self._spawn()
        self._plan_operator()
        for _ in range(rng.choice((0, 0, 1, 3))):
            scheduler.at(rng.uniform(scheduler.now, self._clears_at), self._deploy)
        scheduler.at(self._clears_at, self.weather.clear_up)
        scheduler.run(self._until)
        # A queue that refuses a batch again and again is no defect: the message comes again.
        defects = [text for text in installed.DEFECTS if "EnqueueFailed" not in text]
        if defects:
            self.guard.report("handlers do not fail", "a handler", defects[0])
        if not self.guard.violations:
            check(self.guard, self.database, self.sqs, self.workload)
        states = Counter(
            str(item["state"]["S"])
            for item in self.database["siftbeam-billing-ledger"].items.values()
            if "state" in item
        )
        self._bury()
        return Result(
            self.seed,
            self.deliveries,
            self.guard.violations,
            states,
            self.guard.moves + self.stripe.fates + self.reached,
            self.history,
        )

    def _installation(self, process: Process) -> SimulatedInstallation:
        line = MeterEventLine(StripeLine(process, self._spells), self.stripe)
        clients = aws_clients(
            DynamoDBClient(self.database, process, self._page),
            SQSClient(self.sqs, process),
            SecretsClient('{"STRIPE_SECRET_KEY": "sk_test_simulated"}', process),
        )
        return SimulatedInstallation(
            SETTINGS, clients, process, line, BucketPages(self.bucket, process, self._page)
        )

    def _process(self, name: str) -> Process:
        return Process(
            name,
            scheduler=self.scheduler,
            rng=self.rng,
            weather=self.weather,
            history=self.history,
            reached=self.reached,
        )

    def _spawn(self) -> None:
        self._born += 1
        process = self._process(f"worker{self._born}")
        worker = Worker(
            process,
            self._installation(process),
            sqs=self.sqs,
            counts=self,
            at_once=self._at_once,
            ended=self._ended,
        )
        self._workers.append(worker)
        self.scheduler.spawn(worker.run, self.scheduler.now + self.rng.random())

    def _ended(self) -> None:
        """A worker is gone; ECS starts another."""
        self._workers = [worker for worker in self._workers if worker.process.alive]
        if not self.scheduler.stopped:
            self.scheduler.at(
                self.scheduler.now + 1 + 2 * MINUTE * self.rng.random() ** 2, self._spawn
            )

    def _deploy(self) -> None:
        """Every worker is stopped in the middle of what it does."""
        self.history.note(self.scheduler.now, "deploy", "all workers stop", "")
        for worker in self._workers:
            worker.process.alive = False
        self.sqs.wake_all()

    def _plan_operator(self) -> None:
        rng = self.rng
        at = [rng.uniform(self.scheduler.now, self._clears_at) for _ in range(rng.randint(0, 4))]
        at += [self._clears_at + hours * HOUR for hours in (1.0, 30.0, 80.0)]
        process = self._process("operator")
        operator = Operator(process, self._installation(process), self.sqs, sorted(at))
        self.scheduler.spawn(operator.run, self.scheduler.now)

    def _drawn_spells(self, start: float) -> list[Spell]:
        rng, spells = self.rng, []
        kinds = (
            (OUTAGE_FATES, 0.3, 1.4 * DAY),
            (OUTAGE_FATES, 0.3, HOUR),
            (DARK_FATES, 0.3, 2 * DAY),
            (BAD_KEY_FATES, 0.2, 5 * HOUR),
            (REFUSING_FATES, 0.1, 2 * HOUR),
        )
        for fates, share, longest in kinds:
            if rng.random() < share:
                begins = rng.uniform(start, self._clears_at)
                ends = min(begins + longest * rng.random(), self._clears_at)
                spells.append(Spell(begins, ends, fates))
        if rng.random() < 0.2:
            spells += self._brink(start)
        return spells

    def _brink(self, start: float) -> list[Spell]:
        """Events are taken unseen; Stripe is back when their identifiers are nearly forgotten."""
        rng = self.rng
        begins = rng.uniform(start, self._clears_at - DAY)
        dark = begins + rng.uniform(0.2, 2.0) * HOUR
        light = min(
            begins + rng.choice((rng.uniform(21.5, 24.0), rng.uniform(23.0, 40.0))) * HOUR,
            self._clears_at,
        )
        self.on_the_brink = True
        self._busy = Busy(begins, dark, share=0.8)
        if rng.random() < 0.5:
            self.weather.stall, self.weather.longest_stall = 0.02, 4 * HOUR
        return [Spell(begins, dark, UNSEEN_FATES), Spell(dark, light, DARK_FATES)]

    def _bury(self) -> None:
        """End every fiber, so that nothing of this run outlives it."""
        for worker in self._workers:
            worker.process.alive = False


def billing_tables(scheduler: Scheduler, rng: random.Random, weather: Weather) -> DynamoDB:
    def table(name: str, key: tuple[str, ...], *indexes: Index) -> Table:
        return Table(
            f"siftbeam-{name}", key, indexes, scheduler=scheduler, rng=rng, weather=weather
        )

    texts = {"billingMonth": "S", "customerId": "S", "billingStatus": "S", "date": "S"}
    return DynamoDB(
        (
            table("customers", ("customerId",)),
            table(
                "storage-usage-daily",
                ("customerId", "date"),
                Index("billingMonth-index", "billingMonth", "customerId", texts),
                Index("billingStatus-date-index", "billingStatus", "date", texts),
            ),
            table(
                "storage-usage-monthly",
                ("customerId", "billingMonth"),
                Index("billingStatus-month-index", "billingStatus", "billingMonth", texts),
            ),
            table("processing-history", ("processing-historyId",)),
            table(
                "billing-ledger",
                ("fact",),
                Index(
                    "customerEvent-timestamp-index",
                    "customerEvent",
                    "timestamp",
                    {"customerEvent": "S", "timestamp": "N"},
                ),
                Index(
                    "open-nextAttemptAt-index",
                    "openShard",
                    "nextAttemptAt",
                    {"openShard": "S", "nextAttemptAt": "N"},
                ),
            ),
        )
    )
