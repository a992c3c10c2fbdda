"""The workload: customers, what they hold, their runs, and the schedules that ask for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from producers.instant import epoch_seconds, format_instant
from producers.messages import FileProcessed, Job, Tick
from tests.simulation.weather import DAY, HOUR, MINUTE
from worker.ledger.fact import file_key, storage_key

if TYPE_CHECKING:
    import random

    from tests.simulation.dynamodb import DynamoDB
    from tests.simulation.s3 import Bucket
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.sqs import SQS

BUCKET = "siftbeam"
_UNBILLED = frozenset({"failed", "canceled"})
_MONTHS = ("2026-10", "2027-02", "2026-12")


@dataclass(frozen=True, slots=True)
class Expected:
    """A fact that has to be billed, or visibly not.

    Args:
        key: the ledger's.
        mentions: what the body of a message about it holds.
    """

    key: str
    mentions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Busy:
    """A time in which a share of all runs begin. Epoch seconds."""

    start: float
    end: float
    share: float


@dataclass(slots=True)
class Workload:
    """Everything that happens to one installation from outside.

    Args:
        rng: chance.
        scheduler: time.
        database: the tables.
        sqs: the queues.
        bucket: the files.
        month: the month that ends.
        start: when it all begins, epoch seconds.
        month_end: epoch seconds.
        busy: when many runs begin.
    """

    rng: random.Random
    scheduler: Scheduler
    database: DynamoDB
    sqs: SQS
    bucket: Bucket
    month: BillingMonth
    start: float
    month_end: float
    busy: Busy
    expected: list[Expected] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)

    @classmethod
    def start_of(cls, rng: random.Random) -> tuple[BillingMonth, float]:
        """A month, and an instant two to three days before its end."""
        month = BillingMonth.parse(rng.choice(_MONTHS))
        return month, month.end.timestamp() - rng.uniform(1.5, 3.5) * DAY

    def plan(self, until: float) -> None:
        """Put everything into the world or onto the timetable, up to an instant."""
        rng = self.rng
        self.customers = ["cus_A", "cus_AB", "cus_C", "cus_D"][: rng.randint(2, 4)]
        for customer in self.customers:
            self.database["siftbeam-customers"].write(
                (customer,), {"customerId": {"S": customer}}, "application"
            )
            self._plan_storage(customer)
        for number in range(rng.randint(5, 12)):
            self._plan_run(f"run{number}")
        self._plan_ticks(until)

    def _plan_storage(self, customer: str) -> None:
        rng = self.rng
        table = self.database["siftbeam-storage-usage-daily"]
        huge = rng.random() < 0.05
        empty = rng.random() < 0.1
        first = datetime.fromtimestamp(self.start, tz=UTC).date()
        earlier = [first - timedelta(days=back) for back in range(1, rng.randint(2, 5))]
        for day in earlier:
            total = 0 if empty else rng.randrange(1, 10**12) * (10**6 if huge else 1)
            table.write(
                (customer, day.isoformat()),
                {
                    "customerId": {"S": customer},
                    "date": {"S": day.isoformat()},
                    "totalStorageBytes": {"N": str(total)},
                    "billingMonth": {"S": str(self.month)},
                    "billingStatus": {"S": "pending"},
                },
                "application",
            )
        self.expected.append(
            Expected(storage_key(customer, str(self.month)), (customer, str(self.month)))
        )
        if empty:
            return
        for number in range(rng.randint(1, 4)):
            size = rng.randrange(1, 10**9)
            self.bucket.put(f"service/input/{customer}/old{number}/a", size, self.start)
            when = self.start + rng.random() * 4 * DAY
            self.scheduler.at(
                when,
                lambda n=number, s=size: self.bucket.put(  # type: ignore[misc]  # bound now
                    f"service/output/{customer}/old{n}/b", s, self.scheduler.now
                ),
            )

    def _plan_run(self, run_id: str) -> None:
        rng, scheduler = self.rng, self.scheduler
        customer = rng.choice(self.customers)
        began = self.start + rng.random() * 4 * DAY
        waited = rng.choice((1.0, 60.0, 3 * HOUR)) * rng.random()
        if rng.random() < self.busy.share:
            # Often within a minute, where sums have to be told apart.
            began = rng.uniform(self.busy.start, self.busy.end)
            waited = rng.random() * MINUTE
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
                self._plan_output(customer, run_id, output, began, done)
        if status not in _UNBILLED:
            self.expected.append(Expected(file_key(run_id), (f"/{run_id}/",)))

    def _plan_output(
        self, customer: str, run_id: str, output: int, began: float, done: float
    ) -> None:
        rng, scheduler = self.rng, self.scheduler
        at = began + rng.random() * (done - began)
        key = f"service/output/{customer}/{run_id}/out {output}+é"
        scheduler.at(at, lambda: self.bucket.put(key, 7, scheduler.now))
        event_time = datetime.fromtimestamp(at, tz=UTC)
        for _ in range(1 + (rng.random() < 0.3)):
            arrives = at + 5 + rng.choice((1.0, 60.0, 5 * HOUR)) * rng.random() ** 3
            body = self._event(key, event_time)
            scheduler.at(arrives, lambda b=body: self.sqs.send("siftbeam-file-processed", b, {}))  # type: ignore[misc]  # bound now

    def _event(self, key: str, at: datetime) -> str:
        """One of the three shapes in which an output is told of."""
        shape = self.rng.randrange(3)
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
        records = [record] if self.rng.random() < 0.5 else [record, trigger]
        return json.dumps({"Records": records})

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

    def _plan_ticks(self, until: float) -> None:
        rng = self.rng
        midnight = self.start - self.start % DAY
        monthly_at = self.month_end + rng.choice((2 * HOUR, 300.0))
        for days in range(7):
            day = midnight + days * DAY
            if day <= self.month_end + DAY:
                self._tick(Job.DAILY, day + HOUR)
            self._tick(Job.SWEEP, day + 3 * HOUR)
        self._tick(Job.MONTHLY, monthly_at)
        if rng.random() < 0.3:
            self._tick(Job.MONTHLY, monthly_at + rng.random() * 2 * DAY)
        self.scheduler.at(self.start + HOUR, lambda: self._resolve(until))

    def _resolve(self, until: float) -> None:
        """The hourly tick; while nothing waits in the ledger, most of them are left out."""
        now = self.scheduler.now
        self._send_tick(Job.RESOLVE, now)
        waiting = any(
            "openShard" in item for item in self.database["siftbeam-billing-ledger"].items.values()
        )
        following = now + HOUR * (1 if waiting else 7)
        if following < until:
            self.scheduler.at(following, lambda: self._resolve(until))

    def _tick(self, job: Job, at: float) -> None:
        if at < self.start:
            return
        for _ in range(1 + (self.rng.random() < 0.2)):
            arrives = at + 30 * self.rng.random() ** 2
            self.scheduler.at(arrives, lambda: self._send_tick(job, at))

    def _send_tick(self, job: Job, at: float) -> None:
        instant = datetime.fromtimestamp(int(at), tz=UTC)
        body = Tick(job=job, scheduled_time=instant).body()
        self.sqs.send("siftbeam-schedule", body, {})


def month_end_of(month: BillingMonth) -> float:
    """Epoch seconds."""
    return float(epoch_seconds(month.end))
