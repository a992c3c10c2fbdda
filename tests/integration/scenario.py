"""A scenario: customers, files, rows and runs on the emulator, and workers on a clock that is set.

A worker runs in this process through an installation, or as a process of its own through the CLI.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict, Unpack
from urllib.parse import urlsplit

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.credentials import Credentials
from pydantic import SecretStr

from infra.stripe_simulator import DEFAULT_KEY, Seed, SeedCustomer
from producers.billing_month import BillingMonth
from producers.messages import BillCustomerMonth, FileProcessed, SizeCustomer
from producers.queues import Queue
from worker.aws import AwsClients
from worker.consumer.received import ReceivedMessage
from worker.dead_letter import Death, read_dead_letter
from worker.operator_installation import OperatorInstallation
from worker.outcome import Retry
from worker.settings import Settings
from worker.stripe_api.api_key import ApiKey
from worker.stripe_api.connection import TIMEOUT_SECONDS, StripeConnection
from worker.stripe_api.transport import KeptConnections
from worker.stripe_api.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from infra.stripe_simulator import CountedEvent, SettableClock, StripeSimulator
    from tests.integration.conftest import DataStack
    from worker.installation import Installation
    from worker.outcome import Outcome

DEADLINE_SECONDS = 30.0
COMMAND = "from worker.cli import main; main()"
_MOST_ROUNDS = 60
_WRITE = TypeSerializer()
_READ = TypeDeserializer()

Cell = str | int | bool | None
Row = dict[str, Cell]


class Changes(TypedDict, total=False):
    """The settings that a test may want otherwise."""

    stripe_api_key: SecretStr | None
    stripe_api_base: str
    customer_source: str
    event_timestamp: str
    average_over: str
    file_price: Decimal
    object_versions: str
    incomplete_uploads: str
    stripe_grace_hours: int
    claim_seconds: int
    concurrency: int
    visibility_seconds: int
    drain_seconds: int
    bucket: str
    send: str
    bill_from: datetime | None


class WorkerClock:
    """The wall clock is set by the test; the monotonic one runs; waiting moves the wall clock.

    `stood_still` seconds are added to the monotonic one: the process was suspended for so long.
    """

    def __init__(self, wall: SettableClock) -> None:
        self._wall = wall
        self.slept: list[float] = []
        self.stood_still = 0.0

    def now(self) -> datetime:
        return self._wall()

    def monotonic(self) -> float:
        return time.monotonic() + self.stood_still

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._wall.advance(timedelta(seconds=seconds))


class Crash(BaseException):
    """The process ends here: no handler of exceptions may see it."""


@dataclass(slots=True)
class Calls:
    """Every call that leaves the worker, in order; can end the process before or after one.

    `at` counts from 0, or names the call; `after` says whether it takes effect first.
    """

    at: int | str | None = None
    after: bool = False
    made: list[str] = field(default_factory=list)

    def begin(self, name: str) -> None:
        self.made.append(name)
        if not self.after and self.at in {len(self.made) - 1, name}:
            raise Crash(f"before {name}")

    def end(self) -> None:
        if self.after and self.at in {len(self.made) - 1, self.made[-1]}:
            raise Crash(f"after {self.made[-1]}")

    def arm(self, at: int | str | None = None, *, after: bool = False) -> None:
        self.made.clear()
        self.at, self.after = at, after


class CountedHttp(KeptConnections):
    """The product's transport, every request counted."""

    def __init__(self, base: str, calls: Calls) -> None:
        super().__init__(base, timeout=TIMEOUT_SECONDS)
        self._calls = calls

    def request(  # type: ignore[override]  # the library says str, and takes and gives bytes
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: object = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self._calls.begin(f"stripe {method.upper()} {urlsplit(url).path.removeprefix('/v1/')}")
        answer = super().request(method, url, headers, post_data)
        self._calls.end()
        return answer


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: its body and why it died (None: SQS's own redrive)."""

    body: str
    death: Death | None

    @property
    def error_type(self) -> str:
        return "" if self.death is None else self.death.error_type

    @property
    def reason(self) -> str:
        return "" if self.death is None else self.death.error_message


class Process:
    """The CLI as a process of its own, everything it says kept."""

    def __init__(
        self, command: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        # A file, not a pipe: what is killed in mid-sentence leaves no reader behind.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", command, *arguments],
            env=environment,
            stdout=self._log,
            stderr=self._log,
        )

    def said(self) -> str:
        """All it wrote so far, to either stream."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait(self, seconds: float) -> int:
        """Its exit code, once it ends."""
        return self._process.wait(seconds)

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._log.close()


class Scenario:
    """One data stack, one Stripe, one clock, and as many workers as a test wants."""

    def __init__(
        self, stack: DataStack, simulator: StripeSimulator, stripe_url: str, wall: SettableClock
    ) -> None:
        self.stack = stack
        self.simulator = simulator
        self.stripe_url = stripe_url
        self.wall = wall
        self.clock = WorkerClock(wall)
        self.crash_clients: AwsClients | None = None
        self._worker: OperatorInstallation | None = None
        self._processes: list[Process] = []

    def close(self) -> None:
        for process in self._processes:
            process.close()

    # --- Workers ------------------------------------------------------------------------------

    def settings(self, **changes: Unpack[Changes]) -> Settings:
        values: dict[str, object] = {
            "bucket": self.stack.bucket,
            "table_prefix": self.stack.parameters["TablePrefix"],
            "queue_prefix": self.stack.parameters["QueuePrefix"],
            "stripe_secret_id": self.stack.secret_id,
            "stripe_api_base": self.stripe_url,
            "stripe_api_key": SecretStr(DEFAULT_KEY),
            **changes,
        }
        return Settings.model_validate(values)

    def installation(
        self,
        *,
        clients: AwsClients | None = None,
        calls: Calls | None = None,
        **changes: Unpack[Changes],
    ) -> OperatorInstallation:
        """A worker's parts, as after a start of the process: nothing is remembered."""
        settings = self.settings(**changes)
        own = self.stack.clients
        made = OperatorInstallation(
            settings,
            clients
            or AwsClients(
                s3=own.s3,
                sqs=own.sqs,
                dynamodb=own.dynamodb,
                secrets=own.secrets,
                credentials=Credentials("test", "test"),
            ),
            self.clock,
        )
        counted = calls or Calls()
        # The same connection as always, over a session that the test can close.
        made.__dict__["stripe"] = StripeConnection(
            ApiKey(made.clients.secrets, settings.stripe_secret_id, settings.stripe_api_key),
            settings.stripe_api_base,
            http_client=lambda: CountedHttp(settings.stripe_api_base, counted),
        )
        # No test waits for Stripe's rate, and the clock that waiting would move is the test's.
        made.__dict__["turns"] = Turns(100_000, self.clock)
        return made

    @property
    def worker(self) -> OperatorInstallation:
        """A worker with the usual settings."""
        if self._worker is None:
            self._worker = self.installation()
        return self._worker

    def handle(
        self,
        body: str,
        *,
        worker: Installation | None = None,
        queue: Queue = Queue.MONTHLY_BILLING,
        receipts: int = 1,
        first_received_at: datetime | None = None,
    ) -> Outcome:
        """Give a body to the worker's dispatch, as one receipt of it."""
        received = ReceivedMessage(
            queue=queue,
            message_id="11111111-2222-4333-8444-555555555555",
            receipt_handle="a-handle",
            body=body,
            attributes={},
            receive_count=receipts,
            first_received_at=first_received_at or self.wall(),
        )
        return (worker or self.worker).dispatch.handle(received)

    def finish(self, body: str, *, worker: Installation | None = None) -> Outcome:
        """Handle a body, waiting on the clock as SQS would, until it is done or dead."""
        outcome = self.handle(body, worker=worker)
        for receipts in range(2, _MOST_ROUNDS):
            if not isinstance(outcome, Retry):
                break
            self.wall.advance(timedelta(seconds=outcome.after or 1))
            outcome = self.handle(body, worker=worker, receipts=receipts)
        assert not isinstance(outcome, Retry), f"not done after {_MOST_ROUNDS} receipts: {outcome}"
        return outcome

    def drain(self, *queues: Queue, worker: Installation | None = None) -> None:
        """Consume until the queues are empty."""
        consumer = (worker or self.worker).consumer(queues or tuple(Queue), until_empty=True)
        done: list[bool] = []
        thread = threading.Thread(target=lambda: done.append(consumer.run()))
        thread.start()
        thread.join(DEADLINE_SECONDS)
        consumer.stop()
        assert done == [True], "the consumer did not drain"

    def cli(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI to its end."""
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", COMMAND, *arguments],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def spawn(self, *arguments: str, **environment: str) -> Process:
        """Start the CLI."""
        return self.start(self.environment(**environment), *arguments)

    def start(
        self, environment: Mapping[str, str], *arguments: str, command: str = COMMAND
    ) -> Process:
        """Start the CLI with exactly that environment; it ends with the scenario."""
        process = Process(command, arguments, environment)
        self._processes.append(process)
        return process

    def wait_for(self, process: Process, text: str) -> None:
        """Wait until a process has said something."""
        wait_until(lambda: text in process.said(), f"{text!r} in {process.said()[-2000:]}")

    def environment(self, **more: str) -> dict[str, str]:
        """What a process of its own needs."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("SIFTBEAM_")
        }
        return (
            inherited
            | self.stack.environment()
            | {"SIFTBEAM_STRIPE_API_BASE": self.stripe_url, "SIFTBEAM_STRIPE_API_KEY": DEFAULT_KEY}
            | more
        )

    # --- What there is ------------------------------------------------------------------------

    def customers(self, *ids: str) -> None:
        """Customers of the application and of Stripe."""
        self.simulator.seed(Seed(customers=tuple(SeedCustomer(id=customer) for customer in ids)))
        for customer in ids:
            self.put("customers", {"customerId": customer})

    def upload(self, key: str, size: int = 1) -> None:
        self.stack.clients.s3.put_object(Bucket=self.stack.bucket, Key=key, Body=b"x" * size)

    def run_row(self, run_id: str, customer: str, status: str = "completed", **more: Cell) -> None:
        self.put(
            "processing-history",
            {"processing-historyId": run_id, "customerId": customer, "status": status, **more},
        )

    def day(self, customer: str, day: str, held: int, **more: Cell) -> None:
        """A daily row as sizing writes it."""
        self.put(
            "storage-usage-daily",
            {
                "customerId": customer,
                "date": day,
                "billingMonth": day[:7],
                "billingStatus": "pending",
                "totalStorageBytes": held,
                **more,
            },
        )

    def month(self, customer: str, month: str, held: Iterable[int]) -> None:
        """Daily rows from the first of a month on."""
        for number, size in enumerate(held, start=1):
            self.day(customer, f"{month}-{number:02}", size)

    def put(self, table: str, row: Mapping[str, Cell]) -> None:
        self.stack.clients.dynamodb.put_item(
            TableName=self.stack.table(table),
            Item={name: _WRITE.serialize(value) for name, value in row.items()},
        )

    def send(self, queue: Queue, body: str) -> None:
        self.stack.clients.sqs.send_message(QueueUrl=self.stack.queue_url(queue), MessageBody=body)

    # --- What came of it ----------------------------------------------------------------------

    def rows(self, table: str) -> list[Row]:
        """A table's rows, whole."""
        pages = self.stack.clients.dynamodb.get_paginator("scan").paginate(
            TableName=self.stack.table(table), ConsistentRead=True
        )
        return [_row(item) for page in pages for item in page["Items"]]

    def days_of(self, customer: str) -> list[Row]:
        found = [row for row in self.rows("storage-usage-daily") if row["customerId"] == customer]
        return sorted(found, key=lambda row: str(row["date"]))

    def month_of(self, customer: str, month: str) -> Row | None:
        return self.row("storage-usage-monthly", customerId=customer, billingMonth=month)

    def run_of(self, run_id: str) -> Row | None:
        return self.row("processing-history", **{"processing-historyId": run_id})

    def fact(self, key: str) -> Row | None:
        return self.row("billing-ledger", fact=key)

    def row(self, table: str, **key: str) -> Row | None:
        answer = self.stack.clients.dynamodb.get_item(
            TableName=self.stack.table(table),
            Key={name: {"S": value} for name, value in key.items()},
            ConsistentRead=True,
        )
        return _row(answer["Item"]) if "Item" in answer else None

    def counted(self, customer: str | None = None) -> tuple[CountedEvent, ...]:
        """The meter events that count, and those refused later: whatever Stripe took."""
        truth = self.simulator.truth(customer)
        return truth.counted + truth.refused

    def bodies(self, queue: Queue) -> list[str]:
        """Every visible message of a queue, taken off it."""
        return [body for body, _ in self._take(self.stack.queue_url(queue))]

    def letters(self, queue: Queue) -> list[Letter]:
        """Every dead letter of a queue, taken off it."""
        return [
            Letter(body, death) for body, death in self._take(self.stack.queue_url(f"{queue}-dlq"))
        ]

    def waiting(self, queue: Queue) -> int:
        """Messages on a queue, visible or not."""
        return self.worker.backlog.of(queue).total

    def _take(self, url: str) -> list[tuple[str, Death | None]]:
        sqs = self.stack.clients.sqs
        found: list[tuple[str, Death | None]] = []
        while True:
            messages = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=0,
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not messages:
                return found
            for message in messages:
                death, _ = read_dead_letter(message.get("MessageAttributes", {}))
                found.append((message["Body"], death))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def counted_clients(stack: DataStack, calls: Calls) -> AwsClients:
    """Clients whose every call goes through `calls`."""
    environment = stack.aws.environment()
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )

    def before(request: object, event_name: str, **_: object) -> None:
        assert request is not None
        calls.begin(event_name.removeprefix("before-send."))

    def after(event_name: str, **_: object) -> None:
        assert event_name
        calls.end()

    session.events.register("before-send", before)
    session.events.register("after-call", after)
    config = Config(retries={"total_max_attempts": 1})
    url = stack.aws.url
    return AwsClients(
        s3=session.client("s3", endpoint_url=url, config=config),
        sqs=session.client("sqs", endpoint_url=url, config=config),
        dynamodb=session.client("dynamodb", endpoint_url=url, config=config),
        secrets=session.client("secretsmanager", endpoint_url=url, config=config),
        credentials=session.get_credentials(),
    )


def close_clients(clients: AwsClients) -> None:
    clients.s3.close()
    clients.sqs.close()
    clients.dynamodb.close()
    clients.secrets.close()


def wait_until(condition: Callable[[], bool], what: str, within: float = DEADLINE_SECONDS) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within:.0f} s in vain for {what}"
        time.sleep(0.02)


def size_body(customer: str, day: str) -> str:
    return SizeCustomer(customer_id=customer, date=datetime.fromisoformat(day).date()).body()


def bill_body(customer: str, month: str = "2026-10") -> str:
    return BillCustomerMonth(customer_id=customer, billing_month=month).body()


def file_body(bucket: str, key: str, at: datetime) -> str:
    return FileProcessed(bucket=bucket, key=key, event_time=at).body()


def last_month(now: datetime | None = None) -> BillingMonth:
    """The month that has just ended on the machine's own clock: for processes of their own."""
    return BillingMonth.ended_before(now or datetime.now(UTC))


def _row(item: Mapping[str, AttributeValueTypeDef]) -> Row:
    row: Row = {}
    for name, value in item.items():
        plain = _READ.deserialize(value)
        row[name] = plain if isinstance(plain, (str, bool)) or plain is None else _whole(plain)
    return row


def _whole(value: object) -> Cell:
    if isinstance(value, (list, dict, bytes)):
        return repr(value)
    return int(str(value))
