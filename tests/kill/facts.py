"""What is planted in a world, and what must come of it: reckoned here, not by the product."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from producers.queues import Queue
from tests.integration.scenario import bill_body, file_body, last_month

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.integration.scenario import Scenario


class End(StrEnum):
    """How a fact must end."""

    BILLED = "billed"
    ZERO = "zero"
    REFUSED = "refused"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ExpectedFact:
    """A fact and its end.

    Args:
        key: the ledger's.
        identifier: Stripe's, of the first generation.
        customer: whose.
        event_name: the meter's.
        value: bytes.
        timestamp: epoch seconds.
        end: how it must end.
        queue: where messages about it go.
        bodies: such messages; any of them bills it.
    """

    key: str
    identifier: str
    customer: str
    event_name: str
    value: int
    timestamp: int
    end: End
    queue: Queue
    bodies: tuple[str, ...]


class Planter:
    """Plants facts one by one, each with what it is reckoned from.

    Args:
        scenario: where.
        chance: what decides their figures.
    """

    def __init__(self, scenario: Scenario, chance: random.Random) -> None:
        self._scenario = scenario
        self._chance = chance
        self._month = last_month()
        self._count = 0

    @property
    def month(self) -> str:
        """The month that is billed."""
        return str(self._month)

    def facts(self) -> Iterator[ExpectedFact]:
        """Facts without end, planted as they are asked for."""
        while True:
            self._count += 1
            if self._count % 2:
                yield self._customer_month()
            else:
                yield self._run()

    def _customer_month(self) -> ExpectedFact:
        end = self._end((End.BILLED,) * 10 + (End.ZERO, End.REFUSED))
        customer = self._make_customer(known=end is not End.REFUSED)
        held = [
            0 if end is End.ZERO else self._chance.randrange(1, 10**12)
            for _ in range(self._chance.randint(1, 4))
        ]
        self._scenario.month(customer, self.month, held)
        # Neighbours that are not of the month.
        after = self._month.last_day + timedelta(days=1)
        before = self._month.first_day - timedelta(days=1)
        for day in (before, after):
            self._scenario.day(customer, day.isoformat(), 7)
        last = self._month.last_day
        stamped = datetime(last.year, last.month, last.day, 23, 59, tzinfo=UTC)
        return ExpectedFact(
            key=f"storage-usage#{customer}#{self.month}",
            identifier=f"storage-usage:{customer}:{self.month}",
            customer=customer,
            event_name="storage-usage",
            value=round(Fraction(sum(held), len(held))),
            timestamp=int(stamped.timestamp()),
            end=end,
            queue=Queue.MONTHLY_BILLING,
            bodies=(bill_body(customer, self.month),),
        )

    def _run(self) -> ExpectedFact:
        end = self._end((End.BILLED,) * 10 + (End.SKIPPED,))
        customer = self._make_customer(known=True)
        run = f"run_{self._count}"
        sizes = [self._chance.randrange(1, 500) for _ in range(self._chance.randint(1, 3))]
        for number, size in enumerate(sizes):
            self._scenario.upload(f"service/input/{customer}/{run}/{number}.csv", size)
        status = "failed" if end is End.SKIPPED else "completed"
        self._scenario.run_row(run, customer, status, theirs="untouched")
        stamped = datetime.now(UTC).replace(microsecond=0)
        bucket = self._scenario.stack.bucket
        return ExpectedFact(
            key=f"file_processed#{run}",
            identifier=run,
            customer=customer,
            event_name="file_processed",
            value=sum(sizes),
            timestamp=int(stamped.timestamp()),
            end=end,
            queue=Queue.FILE_PROCESSED,
            bodies=tuple(
                file_body(bucket, f"service/output/{customer}/{run}/{name}.csv", stamped)
                for name in ("one", "two")
            ),
        )

    def _make_customer(self, *, known: bool) -> str:
        customer = f"cus_{self._count}"
        if known:
            self._scenario.customers(customer)
        else:
            self._scenario.put("customers", {"customerId": customer})
        return customer

    def _end(self, choices: tuple[End, ...]) -> End:
        return self._chance.choice(choices)
