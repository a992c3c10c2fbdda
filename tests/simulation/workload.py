"""The workload: customers, what they hold, their runs, and the schedules that ask for them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from producers.instant import format_instant
from producers.messages import BillCustomerMonth, FileProcessed, Job, SizeCustomer, Tick
from tests.simulation.weather import DAY, HOUR, MINUTE
from worker.ledger.fact import file_key, storage_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.departures import Departure
    from tests.simulation.faults import Schedule
    from tests.simulation.s3 import Bucket
    from tests.simulation.scenario import Scenario
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.sqs import SQS
    from tests.simulation.tables import DynamoDB

BUCKET = "siftbeam"
CUSTOMERS = ("cus_A", "cus_AB", "cus_C", "cus_D")
# The share of customers one of whose days is measured late.
_LATE_ROWS = 0.25
_UNBILLED = frozenset({"failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Expected:
    """A fact that has to be billed, or visibly not.

    Args:
        key: the ledger's.
        mentions: what the body of a message about it holds.
    """

    key: str
    mentions: tuple[str, ...]


@dataclass(slots=True)
class Workload:
    """Everything that happens to one installation from outside.

    Args:
        seed: the run's.
        scheduler: time.
        database: the tables.
        sqs: the queues.
        bucket: the files.
        scenario: what the run is about.
        schedule: what is left out of it.
    """

    seed: int
    scheduler: Scheduler
    database: DynamoDB
    sqs: SQS
    bucket: Bucket
    scenario: Scenario
    schedule: Schedule
    expected: list[Expected] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)
    departures: Mapping[str, Departure] = field(default_factory=dict)

    def plan(self) -> None:
        """Put everything into the world or onto the timetable."""
        rng = self._chance("customers")
        drawn = CUSTOMERS[: rng.randint(2, 4)]
        self.customers = [each for each in drawn if self.schedule.takes(f"customer {each}")]
        for customer in self.customers:
            self.database["siftbeam-customers"].write(
                (customer,), {"customerId": {"S": customer}}, "application"
            )
            self._plan_storage(customer)
            self._plan_late_row(customer)
            self._plan_departure(customer)
        for number in range(rng.randint(5, 12) * len(self.scenario.months)):
            # Drawn from those that could be there, so that one left out changes no other's runs.
            customer = rng.choice(drawn)
            if customer in self.customers and self.schedule.takes(f"run{number}"):
                self._plan_run(f"run{number}", customer)
        self._plan_ticks()

    def _chance(self, subject: str) -> random.Random:
        return random.Random(f"{self.seed} workload {subject}")  # noqa: S311 - has to repeat itself

    def _plan_storage(self, customer: str) -> None:
        rng = self._chance(customer)
        start = self.scenario.start
        table = self.database["siftbeam-storage-usage-daily"]
        huge = rng.random() < 0.05
        empty = rng.random() < 0.1
        first = datetime.fromtimestamp(start, tz=UTC).date()
        earlier = [first - timedelta(days=back) for back in range(1, rng.randint(2, 5))]
        for day in earlier:
            total = 0 if empty else rng.randrange(1, 10**12) * (10**6 if huge else 1)
            table.write(
                (customer, day.isoformat()),
                {
                    "customerId": {"S": customer},
                    "date": {"S": day.isoformat()},
                    "totalStorageBytes": {"N": str(total)},
                    "billingMonth": {"S": str(self.scenario.months[0])},
                    "billingStatus": {"S": "pending"},
                },
                "application",
            )
        self.expected += [
            Expected(storage_key(customer, str(month)), (customer, str(month)))
            for month in self.scenario.months
        ]
        if empty:
            return
        for number in range(rng.randint(1, 4)):
            size = rng.randrange(1, 10**9)
            self.bucket.put(f"service/input/{customer}/old{number}/a", size, start)
            when = start + rng.random() * 4 * DAY
            self.scheduler.at(
                when,
                lambda n=number, s=size: self.bucket.put(  # type: ignore[misc]  # bound now
                    f"service/output/{customer}/old{n}/b", s, self.scheduler.now
                ),
            )

    def _plan_late_row(self, customer: str) -> None:
        """Somebody asks for a day that nobody measured, mostly after its month was billed."""
        rng, month = self._chance(f"late row {customer}"), self.scenario.months[0]
        if rng.random() < _LATE_ROWS and self.schedule.takes(f"late row of {customer}"):
            day = month.first_day + timedelta(days=rng.randrange(10))
            body = SizeCustomer(customer_id=customer, date=day).body()
            at = month.end.timestamp() + rng.uniform(-0.2, 2.5) * DAY
            self.scheduler.at(at, lambda: self.sqs.send("siftbeam-daily-sizing", body, {}))

    def _plan_departure(self, customer: str) -> None:
        """`enqueue monthly --customer --through`, within a day of a customer's last one."""
        leaves = self.departures.get(customer)
        if leaves is None or not leaves.billed_through:
            return
        last_day = datetime.fromtimestamp(leaves.ends_at - 1, tz=UTC).date()
        body = BillCustomerMonth(
            customer_id=customer, billing_month=str(BillingMonth.of(last_day)), through=last_day
        ).body()
        at = leaves.ends_at + self._chance(f"departure {customer}").random() * DAY
        self.scheduler.at(at, lambda: self.sqs.send("siftbeam-monthly-billing", body, {}))

    def _plan_run(self, run_id: str, customer: str) -> None:
        rng, scheduler = self._chance(run_id), self.scheduler
        began, waited = self._time_of_run(rng)
        status = rng.choice(("completed", "completed", "completed", "success", "failed", "none"))
        size = 0 if rng.random() < 0.05 else rng.choice((rng.randrange(1, 10**9), 1, 1000))
        done = began + waited

        def begin() -> None:
            self.bucket.put(f"service/input/{customer}/{run_id}/_trigger.json", 5, scheduler.now)
            self.bucket.put(f"service/input/{customer}/{run_id}/in put+1", size, scheduler.now)
            if status != "none":
                self._write_run(run_id, customer, "in_progress")

        def complete() -> None:
            if status != "none":
                self._write_run(run_id, customer, status)

        if rng.random() < 0.2:
            # What lies there later was not what the run took: the frozen value stands.
            scheduler.at(
                began + rng.random() * 2 * DAY,
                lambda: self.bucket.put(
                    f"service/input/{customer}/{run_id}/more", size + 1, scheduler.now
                ),
            )
        scheduler.at(began, begin)
        scheduler.at(done, complete)
        missed = status in {"completed", "success"} and rng.random() < 0.1
        if not missed:
            for output in range(rng.randint(1, 3)):
                key = f"service/output/{customer}/{run_id}/out {output}+é"
                self._plan_output(rng, key, began, done)
        if status not in _UNBILLED:
            self.expected.append(Expected(file_key(run_id), (f"/{run_id}/",)))

    def _time_of_run(self, rng: random.Random) -> tuple[float, float]:
        """When a run begins, and how long it takes."""
        scenario = self.scenario
        busy = scenario.busy
        if rng.random() < busy.share:
            # Often within a minute, where sums have to be told apart.
            return rng.uniform(busy.start, busy.end), rng.random() * MINUTE
        began = scenario.start + rng.random() * 4 * DAY
        if len(scenario.months) > 1 and rng.random() < 0.5:
            began = scenario.months[1].end.timestamp() - rng.uniform(-1.0, 2.0) * DAY
        return began, rng.choice((1.0, 60.0, 3 * HOUR)) * rng.random()

    def _plan_output(self, rng: random.Random, key: str, began: float, done: float) -> None:
        scheduler = self.scheduler
        at = began + rng.random() * (done - began)
        scheduler.at(at, lambda: self.bucket.put(key, 7, scheduler.now))
        event_time = datetime.fromtimestamp(at, tz=UTC)
        for _ in range(1 + (rng.random() < 0.3)):
            arrives = at + 5 + rng.choice((1.0, 60.0, 5 * HOUR)) * rng.random() ** 3
            body = _event(rng, key, event_time)
            scheduler.at(arrives, lambda b=body: self.sqs.send("siftbeam-file-processed", b, {}))  # type: ignore[misc]  # bound now

    def _write_run(self, run_id: str, customer: str, status: str) -> None:
        table = self.database["siftbeam-processing-history"]
        row = dict(table.items.get((run_id,), {}))
        row |= {
            "processing-historyId": {"S": run_id},
            "customerId": {"S": customer},
            "status": {"S": status},
        }
        if status in {"completed", "success"}:
            row["completedAt"] = {"N": str(int(self.scheduler.now))}
        table.write((run_id,), row, "application")

    def _plan_ticks(self) -> None:
        rng = self._chance("ticks")
        start = self.scenario.start
        for month in self.scenario.months:
            month_end = month.end.timestamp()
            monthly_at = month_end + rng.choice((2 * HOUR, 300.0))
            for days in range(-4, 5):
                day = month_end + days * DAY
                if day <= month_end + DAY:
                    self._tick(rng, Job.DAILY, day + HOUR)
                self._tick(rng, Job.SWEEP, day + 3 * HOUR)
                if days >= 0:
                    self._tick(rng, Job.RECONCILE, day + 9 * HOUR)
            self._tick(rng, Job.MONTHLY, monthly_at)
            again = rng.random() < 0.3, monthly_at + rng.random() * 2 * DAY
            if again[0]:
                self._tick(rng, Job.MONTHLY, again[1])
        if len(self.scenario.months) > 1:
            # In the weeks between, only the sweep tells of runs whose events were missed.
            between = self._chance("sweeps")
            first = self.scenario.months[0].end.timestamp()
            for days in range(5, 28):
                self._tick(between, Job.SWEEP, first + days * DAY + 3 * HOUR)
        self.scheduler.at(start + HOUR, self._resolve)

    def _resolve(self) -> None:
        """The hourly tick; while nothing waits in the ledger, most of them are left out."""
        now = self.scheduler.now
        self._send_tick(Job.RESOLVE, now)
        waiting = any(
            "openShard" in item for item in self.database["siftbeam-billing-ledger"].items.values()
        )
        following = now + HOUR * (1 if waiting else 7)
        # The last one has time to be taken before the end is checked.
        if following < self.scenario.until - HOUR:
            self.scheduler.at(following, self._resolve)

    def _tick(self, rng: random.Random, job: Job, at: float) -> None:
        twice, arrivals = rng.random() < 0.2, [at + 30 * rng.random() ** 2 for _ in range(2)]
        if at < self.scenario.start:
            return
        for arrives in arrivals[: 1 + twice]:
            self.scheduler.at(arrives, lambda: self._send_tick(job, at))

    def _send_tick(self, job: Job, at: float) -> None:
        instant = datetime.fromtimestamp(int(at), tz=UTC)
        body = Tick(job=job, scheduled_time=instant).body()
        self.sqs.send("siftbeam-schedule", body, {})


def reported(event_id: str) -> str:
    """An error report as Stripe's EventBridge destination tells of it."""
    return json.dumps(
        {
            "source": "aws.partner/stripe.com/ed_simulation",
            "detail-type": "v1.billing.meter.error_report_triggered",
            "detail": {"id": event_id},
        }
    )


def _event(rng: random.Random, key: str, at: datetime) -> str:
    """One of the three shapes in which an output is told of."""
    shape = rng.randrange(3)
    if shape == 0:
        return FileProcessed(bucket=BUCKET, key=key, event_time=at).body()
    if shape == 1:
        return json.dumps(
            {
                "source": "aws.s3",
                "detail-type": "Object Created",
                "time": format_instant(at),
                "detail": {"bucket": {"name": BUCKET}, "object": {"key": key}},
            }
        )
    encoded = key.replace("+", "%2B").replace(" ", "+").replace("é", "%C3%A9")
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": format_instant(at),
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": encoded}},
    }
    trigger = {
        **record,
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": "service/input/x/_trigger.json"}},
    }
    records = [record] if rng.random() < 0.5 else [record, trigger]
    return json.dumps({"Records": records})
