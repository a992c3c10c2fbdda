"""Every command that asks AWS, with what it needs to find there to go all its way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from infra.stripe_simulator import Match, Rule, Status
from producers.queues import Queue
from tests.integration.inventory import Inventory, entries_of
from tests.integration.operator import introduce
from tests.integration.scenario import bill_body, file_body, size_body
from worker.dead_letters.selection import Selection
from worker.outcome import DeadLetter, Done

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.scenario import Scenario
    from worker.operator_installation import OperatorInstallation

READ, KEY, OPERATE, AUDIT = "ReadPolicy", "StripeKeyPolicy", "OperatePolicy", "AuditPolicy"
_BY = ("--by", "ana@siftbeam.example", "--why", "a test")
_DAY = "2026-11-01"


@dataclass
class Desk:
    """Where an operator sits: an installation, a directory, and names that nobody had yet."""

    scenario: Scenario
    directory: Path
    installation: OperatorInstallation
    _taken: Counter[str] = field(default_factory=Counter)

    def name(self, kind: str) -> str:
        self._taken[kind] += 1
        return f"{kind}{self._taken[kind]}"

    def customer(self) -> str:
        """Known to both sides, subscribed, with two rows of October."""
        name = self.name("cus_")
        introduce(self.scenario, name)
        self.scenario.month(name, "2026-10", [1000, 2000])
        return name

    def billed(self) -> str:
        """Whose October is billed."""
        name = self.customer()
        assert isinstance(self.scenario.handle(bill_body(name)), Done)
        return name

    def output(self) -> str:
        """The key of a finished run's output."""
        customer, run = self.customer(), self.name("run-")
        self.scenario.run_row(run, customer, completedAt="2026-10-31T12:00:00Z")
        self.scenario.upload(f"service/input/{customer}/{run}/in.csv", 5)
        key = f"service/output/{customer}/{run}/out.csv"
        self.scenario.upload(key, 5)
        return key

    def rejected(self) -> str:
        """A run that Stripe rejected at once; the fact's key."""
        key = self.output()
        run = key.split("/")[3]
        simulator = self.scenario.simulator
        simulator.add_faults(Rule(match=Match(identifier_prefix=run), fault=Status(status=400)))
        assert isinstance(self.scenario.handle(self.event(key)), DeadLetter)
        simulator.clear_faults()
        return f"file_processed#{run}"

    def letters(self) -> str:
        """A letter on each dead-letter queue, one of them a run's; its id in SQS."""
        stack = self.scenario.stack
        bodies = dict.fromkeys(Queue, "no message of ours")
        bodies[Queue.FILE_PROCESSED] = self.event(self.output())
        sent = {
            queue: stack.clients.sqs.send_message(
                QueueUrl=stack.queue_url(f"{queue}-dlq"), MessageBody=body
            )["MessageId"]
            for queue, body in bodies.items()
        }
        return sent[Queue.FILE_PROCESSED]

    def event(self, key: str) -> str:
        return file_body(self.scenario.stack.bucket, key, self.scenario.wall())

    def file(self) -> str:
        """A file that is not there yet."""
        return str(self.directory / self.name("file"))


@dataclass(frozen=True)
class Operation:
    """A command.

    Args:
        words: makes what the command works on, anew each time, and gives the command's words.
        policies: whose holder may do it.
        endures: actions without which it goes on, and says so where a person should know.
        codes: how it may end when all is allowed: 1 is a difference it found.
        variant: whether it makes the same kinds of calls as another one.
        once: whether it can do its work on the same things but once.
    """

    name: str
    words: Callable[[Desk], tuple[str, ...]]
    policies: frozenset[str]
    endures: frozenset[str] = frozenset()
    codes: frozenset[int] = frozenset({0})
    variant: bool = False
    once: bool = False


def _command(
    words: Callable[[Desk], tuple[str, ...]] | str,
    *more: str,
    endures: frozenset[str] = frozenset(),
    codes: frozenset[int] = frozenset({0}),
    variant: bool = False,
    once: bool = False,
) -> Operation:
    make = _fixed(words) if isinstance(words, str) else words
    name = words if isinstance(words, str) else words.__name__.strip("_").replace("_", " ")
    return Operation(name, make, frozenset({READ, *more}), endures, codes, variant, once)


def _fixed(text: str) -> Callable[[Desk], tuple[str, ...]]:
    return lambda _desk: tuple(text.split())


def _doctor(desk: Desk) -> tuple[str, ...]:
    desk.customer()
    return ("doctor", "--json")


def _preview(desk: Desk) -> tuple[str, ...]:
    desk.billed()
    return ("preview", "--month", "2026-10", "--json")


def _preview_with_stripe(desk: Desk) -> tuple[str, ...]:
    return ("preview", "--month", "2026-10", "--customer", desk.billed(), "--stripe", "--json")


def _report(desk: Desk) -> tuple[str, ...]:
    desk.billed()
    return ("report", "--month", "2026-10", "--html", desk.file(), "--json")


def _statement(desk: Desk) -> tuple[str, ...]:
    return ("report", "--month", "2026-10", "--customer", desk.billed(), "--stripe", "--json")


def _reconcile(desk: Desk) -> tuple[str, ...]:
    desk.billed()
    return ("reconcile", "--month", "2026-10", "--json")


def _repair(desk: Desk) -> tuple[str, ...]:
    desk.customer()
    return ("reconcile", "--month", "2026-10", "--repair", "--json")


def _audit(desk: Desk) -> tuple[str, ...]:
    scenario = desk.scenario
    stack, s3 = scenario.stack, scenario.stack.clients.s3
    customer = desk.customer()
    key = f"service/input/{customer}/run/in.csv"
    scenario.upload(key, 7)
    assert isinstance(scenario.handle(size_body(customer, _DAY)), Done)
    inventory = Inventory(stack.bucket, f"{stack.bucket}-reports")
    if inventory.destination not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(
            Bucket=inventory.destination,
            CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"},
        )
    inventory.deliver(s3, desk.directory, entries_of({key: 7}))
    return ("audit", "--inventory", inventory.uri, "--within", "72", "--json")


def _dlq_list(desk: Desk) -> tuple[str, ...]:
    desk.letters()
    return ("dlq", "list", "--json")


def _dlq_show(desk: Desk) -> tuple[str, ...]:
    return ("dlq", "show", desk.letters(), "--json")


def _dlq_export(desk: Desk) -> tuple[str, ...]:
    desk.letters()
    return ("dlq", "export", "--to", desk.file(), "--json")


def _dlq_import(desk: Desk) -> tuple[str, ...]:
    desk.letters()
    kept = desk.directory / desk.name("file")
    desk.installation.dead_letters.purge(tuple(Queue), Selection(), kept, lambda _: None)
    return ("dlq", "import", str(kept), "--json")


def _dlq_purge(desk: Desk) -> tuple[str, ...]:
    desk.letters()
    return ("dlq", "purge", "--to", desk.file(), "--yes", "--json")


def _dlq_replay(desk: Desk) -> tuple[str, ...]:
    desk.letters()
    return ("dlq", "replay", "--force", "--yes", "--manifest", desk.file(), "--json")


def _dlq_replay_of_whole_queues(desk: Desk) -> tuple[str, ...]:
    desk.letters()
    queues = ("schedule", "daily-sizing", "monthly-billing", "stripe-events")
    chosen = tuple(word for queue in queues for word in ("--queue", queue))
    return ("dlq", "replay", *chosen, "--force", "--yes", "--manifest", desk.file(), "--json")


def _enqueue_daily(desk: Desk) -> tuple[str, ...]:
    desk.customer()
    return ("enqueue", "daily", "--json")


def _enqueue_daily_of_one(desk: Desk) -> tuple[str, ...]:
    return ("enqueue", "daily", "--customer", desk.customer(), "--json")


def _enqueue_monthly(desk: Desk) -> tuple[str, ...]:
    desk.customer()
    return ("enqueue", "monthly", "--month", "2026-10", "--json")


def _enqueue_monthly_of_one(desk: Desk) -> tuple[str, ...]:
    return ("enqueue", "monthly", "--month", "2026-10", "--customer", desk.customer(), "--json")


def _enqueue_a_last_day(desk: Desk) -> tuple[str, ...]:
    through = ("--through", "2026-10-20")
    return ("enqueue", "monthly", "--customer", desk.customer(), *through, "--json")


def _enqueue_a_run(desk: Desk) -> tuple[str, ...]:
    return ("enqueue", "file-processed", "--key", desk.output(), "--json")


def _enqueue_a_run_whose_output_is_gone(desk: Desk) -> tuple[str, ...]:
    key = desk.output()
    stack = desk.scenario.stack
    stack.clients.s3.delete_object(Bucket=stack.bucket, Key=key)
    return ("enqueue", "file-processed", "--key", key, "--json")


def _enqueue_runs(desk: Desk) -> tuple[str, ...]:
    desk.output()
    return ("enqueue", "file-processed", "--since", "2026-10-01T00:00:00Z", "--json")


def _count_runs(desk: Desk) -> tuple[str, ...]:
    return (*_enqueue_runs(desk), "--dry-run")


def _resolve(desk: Desk) -> tuple[str, ...]:
    key = desk.output()
    desk.scenario.simulator.add_faults(
        Rule(match=Match(identifier_prefix=key.split("/")[3]), fault=Status(status=500), times=1)
    )
    desk.scenario.handle(desk.event(key))
    desk.scenario.simulator.clear_faults()
    desk.billed()
    desk.scenario.wall.advance(timedelta(hours=2))
    return ("resolve", "--all", "--json")


def _resend(desk: Desk) -> tuple[str, ...]:
    fact = desk.rejected()
    desk.scenario.wall.advance(timedelta(minutes=1))
    return ("resend", fact, "--generation", "1", "--yes", "--json")


def _adjust(desk: Desk) -> tuple[str, ...]:
    fact = f"storage-usage#{desk.billed()}#2026-10"
    return ("adjust", fact, "--bytes", "-100", *_BY, "--yes", "--json")


def _adjust_to_rows(desk: Desk) -> tuple[str, ...]:
    customer = desk.billed()
    desk.scenario.day(customer, "2026-10-31", 99_000)
    fact = f"storage-usage#{customer}#2026-10"
    return ("adjust", fact, "--from-rows", *_BY, "--yes", "--json")


def _adjust_by_cancelling(desk: Desk) -> tuple[str, ...]:
    fact = f"storage-usage#{desk.billed()}#2026-10"
    return ("adjust", fact, "--cancel", *_BY, "--yes", "--json")


def _pause(desk: Desk) -> tuple[str, ...]:
    return ("pause", "--customer", desk.customer(), *_BY, "--json")


def _resume(desk: Desk) -> tuple[str, ...]:
    return ("resume", "--customer", desk.customer(), "--json")


def _exclude(desk: Desk) -> tuple[str, ...]:
    return ("exclude", desk.customer(), *_BY, "--json")


def _include(desk: Desk) -> tuple[str, ...]:
    return ("include", desk.customer(), "--json")


_DIFFERS = frozenset({0, 1})
_CHANGES = (KEY, OPERATE)
_VARIANTS = (
    _adjust_to_rows,
    _dlq_replay_of_whole_queues,
    _enqueue_a_run_whose_output_is_gone,
    _enqueue_daily_of_one,
    _enqueue_monthly_of_one,
    _include,
    _resume,
)
# Letters show again by themselves, and go one by one where SQS may not move whole queues.
_SHOWN_AGAIN = frozenset({"sqs:ChangeMessageVisibility"})
_MOVED = frozenset({"sqs:ListMessageMoveTasks", "sqs:SendMessage", "sqs:StartMessageMoveTask"})
# What is asked for is in force already when it is asked whether anybody knows the customer.
_IN_FORCE = frozenset({"dynamodb:Query"})
_ENDURES = {
    _dlq_purge: _SHOWN_AGAIN,
    _dlq_replay: _SHOWN_AGAIN | _MOVED,
    _pause: _IN_FORCE,
    _exclude: _IN_FORCE,
}
# Whoever may only read compares all the same: the worker writes down what agrees.
_UNWRITTEN = frozenset({"dynamodb:GetItem", "dynamodb:UpdateItem"})
_NOT_SEEN_BY_DOCTOR = frozenset(
    {
        "dynamodb:DescribeContinuousBackups",
        "ecs:DescribeServices",
        "ecs:DescribeTaskDefinition",
    }
)
OPERATIONS: tuple[Operation, ...] = (
    _command(_doctor, KEY, endures=_NOT_SEEN_BY_DOCTOR, codes=_DIFFERS),
    _command(_preview),
    _command(_preview_with_stripe, KEY),
    _command(_report),
    _command(_statement, KEY, endures=_UNWRITTEN, codes=_DIFFERS),
    _command(_reconcile, KEY, endures=_UNWRITTEN, codes=_DIFFERS),
    _command("status --once --json", KEY, codes=_DIFFERS),
    _command("stripe check --json", KEY, codes=_DIFFERS),
    _command("stripe setup --dry-run --json", KEY, codes=_DIFFERS),
    _command(_audit, AUDIT, codes=_DIFFERS),
    _command(_dlq_list, endures=_SHOWN_AGAIN),
    _command(_dlq_show, endures=_SHOWN_AGAIN),
    _command(_dlq_export, endures=_SHOWN_AGAIN, once=True),
    _command(_count_runs),
    _command("enqueue daily --dry-run --json"),
    _command("enqueue monthly --month 2026-10 --dry-run --json"),
    _command("resolve --dry-run --json", KEY, codes=_DIFFERS),
    *(
        _command(
            words,
            *_CHANGES,
            endures=_ENDURES.get(words, frozenset()),
            codes=_DIFFERS,
            variant=words in _VARIANTS,
            once=words is not _dlq_import,
        )
        for words in (
            _repair,
            _dlq_import,
            _dlq_purge,
            _dlq_replay,
            _dlq_replay_of_whole_queues,
            _enqueue_daily,
            _enqueue_daily_of_one,
            _enqueue_monthly,
            _enqueue_monthly_of_one,
            _enqueue_a_last_day,
            _enqueue_a_run,
            _enqueue_a_run_whose_output_is_gone,
            _enqueue_runs,
            _resolve,
            _resend,
            _adjust,
            _adjust_to_rows,
            _adjust_by_cancelling,
            _pause,
            _resume,
            _exclude,
            _include,
        )
    ),
)
