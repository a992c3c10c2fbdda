"""One run: a seed, a world, its weather, and what came of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from tests.simulation import quiet
from tests.simulation.departures import departures_of
from tests.simulation.dynamodb_client import DynamoDBClient
from tests.simulation.faults import Faults, Schedule
from tests.simulation.final_check import FinalCheck
from tests.simulation.guard import Guard
from tests.simulation.history import History
from tests.simulation.installation import SETTINGS, SimulatedInstallation, aws_clients
from tests.simulation.letters import Letters
from tests.simulation.operator import Operator, reconciled
from tests.simulation.process import Process
from tests.simulation.s3 import Bucket, BucketPages, SecretsClient
from tests.simulation.scenario import Scenario
from tests.simulation.scheduler import Scheduler
from tests.simulation.schema import billing_tables
from tests.simulation.sqs import SQS
from tests.simulation.sqs_client import SQSClient
from tests.simulation.stripe_installations import LibraryInstallation, SeenInstallation
from tests.simulation.stripe_line import StripeLine, StripeSeen
from tests.simulation.stripe_transport import LibraryWorld, SimulatedTransport
from tests.simulation.stripe_world import StripeWorld
from tests.simulation.tables import LEDGER
from tests.simulation.weather import ASSUMED, HOUR, MINUTE, Bounds, Weather
from tests.simulation.worker_process import Worker
from tests.simulation.workload import CUSTOMERS, Workload, reported

if TYPE_CHECKING:
    from tests.simulation.operators import Item
    from tests.simulation.violations import Violation
    from worker.reconciliation.report import Report

_QUEUES = tuple(
    f"siftbeam-{name}"
    for name in ("schedule", "daily-sizing", "monthly-billing", "file-processed", "stripe-events")
)
# The share of runs in which sending is paused, and customers are excluded, now and then.
_CONTROLLED = 0.2
# The share of runs in which messages are lost.
_FORGETFUL = 0.15
# Messages that a worker handles at once: up to as many as one batch of writes takes.
_HANDS = (1, 2, 3, 4, 5, 6, 8, 10, 16, 25)


@dataclass(slots=True)
class Result:
    """What came of a run."""

    seed: int
    deliveries: int = 0
    violations: list[Violation] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    parts: dict[str, float] = field(default_factory=dict)
    audits: list[Report] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    history: History = field(default_factory=lambda: History(kept=False))


class Run:
    """One simulated installation from the last days of a month to a week after it.

    Args:
        seed: repeats the run exactly.
        record: keep its history.
        without: parts of the run to leave out, by the names that :attr:`Result.parts` gives them.
        bounds: what is assumed of the world.
        tolerated: rules whose violation does not end the run.
        library: go through the product's Stripe code, the official library and the simulator of
            Stripe's API.
    """

    def __init__(
        self,
        seed: int,
        *,
        record: bool = False,
        without: frozenset[str] = frozenset(),
        bounds: Bounds = ASSUMED,
        tolerated: frozenset[str] = frozenset(),
        library: bool = False,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - a simulation has to repeat itself
        self.history = History(kept=record)
        self.schedule = Schedule(without)
        self.bounds = bounds
        self.weather = Weather.drawn(self.rng, bounds)
        self.scenario = Scenario.drawn(self.rng, self.weather, self.schedule, bounds)
        self.scheduler = Scheduler(self.scenario.start)
        self.database = billing_tables(self.scheduler, self._faults("dynamodb"), self.weather)
        self.sqs = SQS(_QUEUES, self.scheduler, self._faults("sqs"), self.weather)
        self.bucket = Bucket()
        # The simulator of Stripe's API, in its place, has no subscriptions and makes no invoices.
        final_after = inf if library else self.scenario.final_after
        self.stripe = StripeWorld(self.scheduler, self._faults("stripe"), self.weather, final_after)
        self.guard = Guard(self.scheduler, self.database, self.stripe, tolerated)
        self.stripe.on_accept = self.guard.event_taken
        self._draw_reports()
        self._draw_forgetting()
        self.library = LibraryWorld(self.scheduler, self.guard.event_taken) if library else None
        self.deliveries = 0
        self._page = self.rng.randint(1, 8)
        self._hands = self.rng.choice(_HANDS)
        self._workers: list[Worker] = []
        self._born = 0
        self._audits: list[Report] = []
        self.workload = Workload(
            seed,
            self.scheduler,
            self.database,
            self.sqs,
            self.bucket,
            self.scenario,
            self.schedule,
        )
        if not library:
            self.stripe.departures = self.workload.departures = departures_of(
                seed, CUSTOMERS, self.scenario, self.schedule
            )

    def execute(self) -> Result:
        """Run to the end, or to the first violation."""
        quiet.DEFECTS.clear()
        scheduler, scenario = self.scheduler, self.scenario
        self.workload.plan()
        for number in range(1, scenario.workers + 1):
            if number == 1 or self.schedule.takes(f"worker {number}"):
                self._spawn()
        self._spawn_operator()
        for at in scenario.deploys:
            scheduler.at(at, self._deploy)
        for since, mode in scenario.modes[1:]:
            if scenario.restore is None:
                scheduler.at(since, lambda m=mode: self._deploy(f"SEND={m}"))  # type: ignore[misc]  # a default makes the lambda untypable
        if scenario.restore is not None:
            scheduler.at(scenario.restore.backed_up_at, self._back_up)
        scheduler.at(scenario.clears_at, self.weather.clear_up)
        scheduler.spawn(self._take_audit, scenario.until - HOUR)
        self.schedule.now = lambda: scheduler.now
        scheduler.run(scenario.until)
        # A queue that refuses a batch again and again is no defect: the message comes again.
        defects = [text for text in quiet.DEFECTS if "EnqueueFailed" not in text]
        if defects:
            self.guard.report("handlers do not fail", "a handler", defects[0])
        if not scheduler.stopped:
            check = FinalCheck(self.guard, self.database, self.sqs, self.workload, self.stripe)
            check.check(self._audits)
        items = {
            key: item for (key,), item in self.database[LEDGER].items.items() if "state" in item
        }
        for worker in self._workers:
            # Nothing of this run outlives it.
            worker.process.alive = False
        return Result(
            self.seed,
            self.deliveries,
            self.guard.violations,
            Counter(str(item["state"]["S"]) for item in items.values()),
            self.guard.moves + self.stripe.fates + self.schedule.reached,
            self.schedule.parts,
            self._audits,
            items,
            self.history,
        )

    def _draw_reports(self) -> None:
        """How soon Stripe reports what it refused, and whether to the queue at once.

        A report that comes within seconds overtakes the answer's write. For some to do so, many
        events have to be refused while answers are lost.
        """
        rng = random.Random(f"{self.seed} reports")  # noqa: S311 - has to repeat itself
        self.stripe.longest_until_reported = rng.choice((10.0, MINUTE, 2 * HOUR))
        if rng.random() < 0.5 and self.schedule.takes("reports are routed"):
            self.weather.refusals = max(self.weather.refusals, rng.choice((0.0, 0.5)))
            self.stripe.on_report = lambda report: self.sqs.send(
                "siftbeam-stripe-events", reported(report.id), {}
            )

    def _draw_forgetting(self) -> None:
        """Whether SQS loses messages about facts that the ledger still has to bring to an end.

        Nothing depends on SQS keeping them.
        """
        rng = random.Random(f"{self.seed} forgetting")  # noqa: S311 - has to repeat itself
        if rng.random() < _FORGETFUL and self.schedule.takes("messages are lost"):
            self.weather.forgotten = rng.choice((0.2, 0.8))
            letters, facts = Letters(self.guard, self.sqs), self.database[LEDGER].items
            self.sqs.may_forget = lambda body: letters.may_lose(body, facts)

    def _faults(self, who: str) -> Faults:
        return Faults(who, self.seed, self.schedule)

    def _installation(self, process: Process) -> SimulatedInstallation:
        line = StripeLine(process, self.scenario.spells, self.bounds.longest_way)
        pages = BucketPages(self.bucket, process, self._page)
        clients = aws_clients(
            DynamoDBClient(self.database, process, self._page),
            SQSClient(self.sqs, process),
            SecretsClient('{"STRIPE_SECRET_KEY": "sk_test_simulated"}', process),
        )
        settings = SETTINGS.model_copy(
            update={
                "send": self.scenario.mode_at(self.scheduler.now),
                "bill_from": _instant(self.scenario.bill_from),
            }
        )
        if self.library is not None:
            transport = SimulatedTransport(line, self.library)
            return LibraryInstallation(settings, clients, process, pages, transport)
        return SeenInstallation(settings, clients, process, pages, StripeSeen(line, self.stripe))

    def _process(self, name: str) -> Process:
        return Process(
            name,
            seed=self.seed,
            scheduler=self.scheduler,
            weather=self.weather,
            faults=self._faults(name),
            history=self.history,
        )

    def _spawn(self) -> None:
        self._born += 1
        process = self._process(f"worker{self._born}")
        worker = Worker(
            process,
            self._installation(process),
            sqs=self.sqs,
            counts=self,
            hands=self._hands,
            ended=self._ended,
        )
        self._workers.append(worker)
        process.on_suspension = self._replace
        self.scheduler.spawn(worker.run, self.scheduler.now + process.rng.random())

    def _spawn_operator(self) -> None:
        process = self._process("operator")
        operator = Operator(
            process,
            lambda: self._installation(process),
            self.database[LEDGER],
            self.guard,
            self.scenario.acts,
            # Where nobody resends, whoever stands still does so to the end.
            resends=self.schedule.takes("resends") and not self.weather.forgotten,
            adjusts=self.schedule.takes("adjustments"),
            controls_until=self.scenario.clears_at if self._draws_controls() else None,
        )
        self.scheduler.spawn(operator.run, self.scheduler.now)

    def _draws_controls(self) -> bool:
        rng = random.Random(f"{self.seed} controls")  # noqa: S311 - has to repeat itself
        return rng.random() < _CONTROLLED and self.schedule.takes("controls")

    def _take_audit(self) -> None:
        """What the product's own reconciliation says of the last month and of the running one."""
        auditor = self._installation(self._process("auditor"))
        running = BillingMonth.containing(auditor.clock.now())
        self._audits = [reconciled(auditor, month) for month in (running.previous, running)]

    def _ended(self) -> None:
        """A worker is gone."""
        self._workers = [worker for worker in self._workers if worker.process.alive]
        self._replace()

    def _replace(self) -> None:
        """ECS starts a worker in the place of one that is gone, or that shows no life."""
        if not self.scheduler.stopped:
            after = 1 + 2 * MINUTE * self.rng.random() ** 2
            self.scheduler.at(self.scheduler.now + after, self._spawn)

    def _deploy(self, what: str = "deploy") -> None:
        """Every worker is stopped in the middle of what it does."""
        self.history.note(self.scheduler.now, "deploy", what, "all workers stop")
        for worker in self._workers:
            worker.process.alive = False
        self.sqs.wake_all()

    def _back_up(self) -> None:
        kept = dict(self.database[LEDGER].items)
        restore = self.scenario.restore
        assert restore is not None
        self.history.note(self.scheduler.now, "backup", "the ledger", "")

        def put_back() -> None:
            self._deploy("SEND=verify, and the ledger as it was")
            self.database[LEDGER].restore(kept)
            self.guard.restored = True

        self.scheduler.at(restore.restored_at, put_back)


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=UTC)
