"""The ledger's own operations, in random order, on every engine at once: all must agree."""

from __future__ import annotations

import random
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import ClientError

from producers.billing_month import BillingMonth
from tests.parity.as_statements import AsStatements
from tests.parity.conftest import DYNAMODB_ENGINES, REQUIRED
from tests.parity.dynamodb_engines import ServedDynamoDb, SimulatedDynamoDb
from tests.parity.dynamodb_local import why_not
from worker.ledger import rules
from worker.ledger.answer import Accepted, Door, TurnedAway, Unclear
from worker.ledger.fact import Fact, FactKind, StorageBasis, StripeAccount
from worker.ledger.item import LedgerItem, State
from worker.ledger.presence import Presence
from worker.ledger.store import Ledger, LostRace
from worker.tables.daily import BillingStatus, DailyTable, Mark
from worker.tables.history import HistoryTable
from worker.usage import CustomerUsage, Measure, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.parity.asking import Item
    from tests.parity.dynamodb_engines import DynamoDb

NOW = datetime(2026, 11, 1, 0, 5, tzinfo=UTC)
OCTOBER = BillingMonth(2026, 10)
ACCOUNT = StripeAccount("acct_parity", livemode=False)
CUSTOMERS = ("cus_a", "cus_b", "cus_c")
STEPS = 150


class Books:
    """The ledger and the tables that follow it, on one engine."""

    def __init__(self, name: str, db: DynamoDb, statements: AsStatements | None = None) -> None:
        self.name = name
        self.db = db
        self.statements = statements
        client = db.client if statements is None else cast("DynamoDBClient", statements)
        tokens = count()
        self.ledger = Ledger(
            client,
            db.table("billing-ledger"),
            tokens=lambda: f"t{next(tokens)}",
            sleep=lambda _: None,
        )
        self.daily = DailyTable(client, db.table("storage-usage-daily"))
        self.history = HistoryTable(client, db.table("processing-history"), sleep=lambda _: None)

    def put_run(self, row: Item) -> None:
        """Write a run as the application does."""
        self.db.client.put_item(TableName=self.db.table("processing-history"), Item=row)

    def whole(self) -> list[object]:
        """Every row of every table, and what the ledger's indexes show."""
        self.db.settle()
        found: list[object] = []
        for table, key in (
            ("billing-ledger", ("fact",)),
            ("storage-usage-daily", ("customerId", "date")),
            ("processing-history", ("processing-historyId",)),
        ):
            rows = self.db.client.scan(TableName=self.db.table(table), ConsistentRead=True)["Items"]
            found.append(sorted(rows, key=lambda row: [row[name]["S"] for name in key]))
        found.append(sorted(item.fact.key for item in self.ledger.waiting(None)))
        found.append(sorted(item.fact.key for item in self.ledger.waiting(NOW)))
        for customer in CUSTOMERS:
            stamped = self.ledger.stamped_between(
                customer, FactKind.FILE, NOW - timedelta(hours=1), NOW
            )
            found.append([item.fact.stamped_at for item in stamped])
            found.append(self.daily.month(customer, OCTOBER))
        found.append(list(self.daily.customers(OCTOBER)))
        for fields in (None, "fact"):
            in_time = self.ledger.rows_stamped_between(NOW - timedelta(days=40), NOW, fields)
            found.append(sorted(row["fact"]["S"] for row in in_time))
        return found


@pytest.fixture
def books(request: pytest.FixtureRequest) -> Iterator[list[Books]]:
    """Two each, by single calls and by statements: DynamoDB Local where it can be had."""
    found = [Books("simulation", SimulatedDynamoDb()), _by_statements("simulation")]
    served = []
    for name in DYNAMODB_ENGINES[1:]:
        local = name == "dynamodb-local"
        if local and why_not() is not None and not REQUIRED:
            continue
        fixture = "dynamodb_local" if local else "ministack_dynamodb"
        client = request.getfixturevalue(fixture)
        served += [ServedDynamoDb(client), ServedDynamoDb(client)]
        found += [Books(name, served[-2]), _by_statements(name, served[-1])]
    yield found
    for engine in served:
        engine.close()


def _by_statements(name: str, engine: DynamoDb | None = None) -> Books:
    engine = engine or SimulatedDynamoDb()
    statements = AsStatements(engine.client, refuses_or=name == "ministack")
    return Books(f"{name} by statements", engine, statements)


class Walk:
    """Draws operations, and the items that somebody has read: fresh ones and stale ones."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - cases, not secrets
        self._seen: list[LedgerItem] = []
        self._now = NOW

    def step(self) -> tuple[str, Callable[[Books], object]]:
        """The next operation: its description, and what does it on an engine."""
        chance = self._chance
        self._now += timedelta(seconds=chance.randrange(60))
        choices = [self._freeze, self._row, self._mark, self._run]
        if self._seen:
            choices += [self._move] * 6 + [self._find, self._existing]
        return chance.choice(choices)()

    def learn(self, outcome: object) -> None:
        """Remember an item that an operation has returned."""
        if isinstance(outcome, LedgerItem):
            self._seen.append(outcome)

    def _fact(self) -> Fact:
        chance = self._chance
        customer = chance.choice(CUSTOMERS)
        if chance.random() < 0.4:
            return Fact(
                kind=FactKind.STORAGE,
                customer_id=customer,
                subject=str(OCTOBER),
                event_name="storage-usage",
                value=chance.choice((0, 1, 10**15, chance.randrange(10**15))),
                stamped_at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC),
                account=ACCOUNT,
                origin="",
                basis=StorageBasis(days=(1, 2, 31), total_bytes=10**30, peak_bytes=5),
            )
        return Fact(
            kind=FactKind.FILE,
            customer_id=customer,
            subject=f"run_{chance.randrange(8)}",
            event_name="file_processed",
            value=chance.randrange(10**6),
            stamped_at=NOW - timedelta(seconds=chance.randrange(7200)),
            account=replace(ACCOUNT, id=None) if chance.random() < 0.3 else ACCOUNT,
            origin="service/output/é/\U0001f600.csv",
        )

    def _freeze(self) -> tuple[str, Callable[[Books], object]]:
        fact = self._fact()
        item = rules.first_item(fact, self._now)
        if self._chance.random() < 0.2:
            item = rules.skipped_item(fact, "the run has failed", self._now)
        skipped = [seen for seen in self._seen if seen.state is State.SKIPPED]
        if skipped and self._chance.random() < 0.3:
            old = self._chance.choice(skipped)
            anew = rules.first_item(old.fact, self._now)
            return f"revive {old.fact.key}", lambda books: books.ledger.revive(old, anew)
        return f"freeze {fact.key}", lambda books: books.ledger.freeze(item)

    def _find(self) -> tuple[str, Callable[[Books], object]]:
        key = self._chance.choice(self._seen).fact.key
        return f"find {key}", lambda books: books.ledger.find(key)

    def _existing(self) -> tuple[str, Callable[[Books], object]]:
        keys = sorted({item.fact.key for item in self._seen} | {"file_processed#nobody"})
        return "existing", lambda books: books.ledger.existing(keys)

    def _move(self) -> tuple[str, Callable[[Books], object]]:
        """Any move from an item as it was seen, perhaps long ago."""
        chance, now = self._chance, self._now
        seen = chance.choice(self._seen[-12:])
        key = seen.fact.key
        if seen.state is State.SENDING and chance.random() < 0.8:
            answer = chance.choice(
                (
                    Accepted(),
                    TurnedAway(Door.THROTTLED, "slow down"),
                    TurnedAway(Door.INVALID, "no"),
                    Unclear("timeout"),
                )
            )
            told = rules.answered(seen, answer, now, chance.random())
            return f"record {key} {answer}", lambda books: books.ledger.record(seen, told)
        if chance.random() < 0.5:
            wanted = rules.claimed(seen, now, timedelta(seconds=30), ACCOUNT)
            return f"claim {key}", lambda books: books.ledger.claim(seen, wanted)
        decided = chance.choice(
            (
                lambda: rules.refused(seen, "meter_event_customer_not_found", now),
                lambda: rules.left_to_a_person(seen, "nobody can tell", now),
                lambda: rules.resent(seen, now),
                lambda: rules.held_back(seen, "Stripe could not be asked", now, 0.5),
                lambda: rules.postponed(seen, now),
                lambda: rules.examined(seen, Presence.PRESENT, now),
                lambda: rules.found_by_summaries(seen, now),
                lambda: rules.told(seen),
            )
        )()
        return f"decide {key} -> {decided.state}", lambda books: books.ledger.decide(seen, decided)

    def _day(self) -> tuple[str, date]:
        day = OCTOBER.first_day.replace(day=self._chance.randint(1, 4))
        return self._chance.choice(CUSTOMERS), day

    def _row(self) -> tuple[str, Callable[[Books], object]]:
        chance = self._chance
        customer, day = (
            chance.choice(CUSTOMERS),
            OCTOBER.first_day.replace(day=chance.randint(1, 4)),
        )
        usage = CustomerUsage(Usage(chance.randrange(10**12), 3), Usage(0, 0))
        at = datetime(2026, 10, chance.randint(1, 4), 1, tzinfo=UTC)
        return f"record {customer} {day} at {at}", lambda books: books.daily.record(
            customer, day, Measure(usage), at
        )

    def _mark(self) -> tuple[str, Callable[[Books], object]]:
        chance = self._chance
        customer = chance.choice(CUSTOMERS)
        days = [
            OCTOBER.first_day.replace(day=day)
            for day in chance.sample(range(1, 5), chance.randint(1, 4))
        ]
        mark = Mark(
            chance.choice((BillingStatus.BILLED, BillingStatus.FAILED)),
            chance.randint(1, 6),
            *chance.choice(((), ("an event", self._now))),
        )
        return f"mark {customer} {days} {mark}", lambda books: books.daily.mark(
            customer, days, mark
        )

    def _run(self) -> tuple[str, Callable[[Books], object]]:
        chance = self._chance
        run, fence = f"run_{chance.randrange(4)}", chance.randint(1, 6)
        if chance.random() < 0.3:
            row: Item = {"processing-historyId": {"S": run}, "status": {"S": "completed"}}
            return f"put {run}", lambda books: books.put_run(row)
        if chance.random() < 0.5:
            return f"note {run} {fence}", lambda books: books.history.note_error(run, fence, "no")
        return f"clear {run} {fence}", lambda books: books.history.clear_error(run, fence)


@pytest.mark.parametrize("_", range(2))
def test_the_ledger_does_the_same_on_every_engine(books: list[Books], _: int) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}, on {[each.name for each in books]}")  # noqa: T201 - repeats a failure
    walk = Walk(seed)
    for number in range(STEPS):
        what, step = walk.step()

        outcomes = [_outcome(step, each) for each in books]

        assert all(outcome == outcomes[0] for outcome in outcomes), f"{number}: {what}: {outcomes}"
        walk.learn(outcomes[0])
        if number % 60 == 59:
            wholes = [each.whole() for each in books]
            for one, *others in zip(*wholes, strict=True):
                assert all(other == one for other in others), f"after {number}: {what}"
    for each in books:
        assert each.statements is None or each.statements.done > STEPS // 10, each.name


def _outcome(step: Callable[[Books], object], books: Books) -> object:
    try:
        return step(books)
    except LostRace as error:
        return f"LostRace: {error}"
    except ClientError as error:
        # A move that no rule makes, such as from `manual` to `manual`: refused everywhere alike.
        return error.response["Error"]["Code"]
