"""The month's report: every statement, and what they come to together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from worker.ledger.fact import FactKind
from worker.ledger.item import OPEN, STUCK, LedgerItem, State
from worker.statement.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from producers.billing_month import BillingMonth
    from worker.price import PriceList
    from worker.reconciliation.line import Line
    from worker.report.method import Explanation
    from worker.statement.statement import Statement

# As long as the monthly tick may wait for sizing, and then work.
_BILLED_WITHIN = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class DayTotal:
    """All customers' storage on one day.

    Args:
        day: the day.
        total_bytes: what the rows of the day sum up to.
        recorded: how many customers have a row.
        without: the customers without one, though the day has passed.
        over: whether the day has passed.
    """

    day: date
    total_bytes: int
    recorded: int
    without: tuple[str, ...]
    over: bool


@dataclass(frozen=True, slots=True)
class StateTotal:
    """The facts of one meter in one state."""

    kind: FactKind
    state: State
    facts: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong, and the statement it is on.

    Args:
        statement: whose.
        item: the fact; None where the month could not even be frozen.
        reason: what happened; None where the ledger does not say any more.
    """

    statement: Statement
    item: LedgerItem | None
    reason: str | None

    @property
    def needs_a_person(self) -> bool:
        """Whether it will not settle by itself."""
        return self.item is None or self.item.state in STUCK

    @property
    def amount(self) -> Decimal:
        """What the fact would come to if it were on an invoice line of its own."""
        prices = self.statement.prices
        if self.item is None:
            return prices.storage.line(0)
        return prices.of(self.item.fact.kind).line(max(0, self.item.fact.value))


@dataclass(frozen=True)
class MonthReport:
    """A month as finance sees it.

    Args:
        month: the month.
        made_at: when the figures were read, UTC.
        prices: what usage costs.
        statements: one per customer, by id.
        method: how each figure is computed.
        stripe: Stripe's own figures by customer, where it was asked; else None.
        only: the one customer that the report is about; None where it is about all.
    """

    month: BillingMonth
    made_at: datetime
    prices: PriceList
    statements: tuple[Statement, ...]
    method: tuple[Explanation, ...] = ()
    stripe: Mapping[str, Sequence[Line]] | None = None
    only: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the month is over."""
        return self.month.end <= self.made_at

    @cached_property
    def totals(self) -> Totals:
        """The sums."""
        totals = Totals()
        for statement in self.statements:
            totals.add(statement)
        return totals

    @cached_property
    def by_bill(self) -> tuple[Statement, ...]:
        """The statements, the largest bill first, then by id."""
        return tuple(sorted(self.statements, key=lambda one: (-one.amount, one.customer_id)))

    @cached_property
    def days(self) -> tuple[DayTotal, ...]:
        """Every day of the month."""
        sums: Counter[date] = Counter()
        recorded: Counter[date] = Counter()
        without: dict[date, list[str]] = {day: [] for day in self.month.days}
        for statement in self.statements:
            for row in statement.days:
                sums[row.day] += row.total_bytes
                recorded[row.day] += 1
            for day in statement.missing:
                without[day].append(statement.customer_id)
        today = self.made_at.date()
        return tuple(
            DayTotal(day, sums[day], recorded[day], tuple(without[day]), over=day < today)
            for day in self.month.days
        )

    @cached_property
    def states(self) -> tuple[StateTotal, ...]:
        """The facts by meter and state; runs beyond what a statement lists are counted too."""
        facts: Counter[tuple[FactKind, State]] = Counter()
        total_bytes: Counter[tuple[FactKind, State]] = Counter()
        for statement in self.statements:
            for state, (count, value) in statement.runs.by_state.items():
                facts[FactKind.FILE, state] += count
                total_bytes[FactKind.FILE, state] += value
            for item in _single_facts(statement):
                facts[item.fact.kind, item.state] += 1
                total_bytes[item.fact.kind, item.state] += item.fact.value
        return tuple(
            StateTotal(kind, state, facts[kind, state], total_bytes[kind, state])
            for kind in FactKind
            for state in State
            if facts[kind, state]
        )

    @cached_property
    def unbilled(self) -> int:
        """Customers with rows whose ended month has no fact though it should by now."""
        if self.made_at < self.month.end + _BILLED_WITHIN:
            return 0
        return sum(1 for one in self.statements if one.days and one.storage is None)

    @cached_property
    def open(self) -> int:
        """How many facts are not settled yet, those among them that are still to be frozen."""
        unfrozen = sum(1 for one in self.statements if one.days and one.storage is None)
        return unfrozen + sum(each.facts for each in self.states if each.state in OPEN)

    @cached_property
    def troubles(self) -> tuple[Trouble, ...]:
        """What went wrong: what needs a person first."""
        found = [trouble for statement in self.statements for trouble in _troubles(statement)]
        return tuple(sorted(found, key=lambda trouble: not trouble.needs_a_person))

    @property
    def compared(self) -> int:
        """How many customer meters Stripe was asked about."""
        return sum(len(lines) for lines in (self.stripe or {}).values())

    @property
    def agreeing(self) -> int:
        """How many of them agree to the byte."""
        return sum(1 for lines in (self.stripe or {}).values() for line in lines if line.agrees)

    @property
    def needs_a_person(self) -> int:
        """How many things will not settle by themselves."""
        differing = sum(
            1 for lines in (self.stripe or {}).values() for line in lines if line.differs
        )
        return sum(1 for one in self.troubles if one.needs_a_person) + self.unbilled + differing


def _single_facts(statement: Statement) -> Iterator[LedgerItem]:
    if statement.storage is not None:
        yield statement.storage
    yield from statement.corrections
    yield from statement.runs.corrections


def _troubles(statement: Statement) -> Iterator[Trouble]:
    if statement.problem is not None:
        yield Trouble(statement, None, statement.problem)
    for item in statement.troubled:
        yield Trouble(statement, item, item.last_error)
