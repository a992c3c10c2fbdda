"""A month of many customers, read together.

Read one by one, a customer takes half a dozen calls; together, a hundred take three or four, and
the daily rows come from the month's index, thousands a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.ledger.codec import decode_item
from worker.ledger.fact import FactKind, cancellation_key, correction_key, storage_key
from worker.statement.runs import NO_RUNS, Runs, RunTally
from worker.tables.attributes import MalformedRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from producers.billing_month import BillingMonth
    from worker.ledger.item import LedgerItem
    from worker.ledger.store import Ledger
    from worker.tables.attributes import ReadAttributes
    from worker.tables.daily import DailyRow, DailyTable
    from worker.tables.monthly import MonthlyTable

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
CHUNK = 100


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the tables hold of a customer's month.

    Args:
        rows: the daily rows, by date.
        item: the month's fact; None before it is frozen.
        corrections: what was decided about it since.
        notes: of the monthly row.
        runs: its processing runs.
    """

    rows: tuple[DailyRow, ...]
    item: LedgerItem | None
    corrections: tuple[LedgerItem, ...] = ()
    notes: str | None = None
    runs: Runs = NO_RUNS


class MonthReading:
    """Reads many customers of one month. Safe between threads.

    The daily rows come from the month's index and the runs from one pass over the ledger, which
    tells whose they are as well. Both lag by moments. So whoever lacks a day, or whose rows are not
    those that were billed, is read again from the tables; and the month's facts are read by key.

    Args:
        daily: the rows.
        monthly: the notes on what came of them.
        ledger: the facts.
        month: the month.
        today: the days before it are expected.
        runs_listed: how many runs of each customer are listed, of so many customers; fewer of more.
    """

    def __init__(
        self,
        *,
        daily: DailyTable,
        monthly: MonthlyTable,
        ledger: Ledger,
        month: BillingMonth,
        today: date,
        runs_listed: Callable[[int], int],
    ) -> None:
        self._passed = sum(1 for day in month.days if day < today)
        self._daily = daily
        self._ledger = ledger
        self.month = month
        self._rows = daily.whole_month(month)
        self._notes = monthly.noted(month)
        self._with_facts = set(self._rows)
        self._runs = self._added_up(runs_listed)

    def _added_up(self, runs_listed: Callable[[int], int]) -> dict[str, Runs | MalformedRow]:
        found: dict[str, Runs | MalformedRow] = {}
        tallies: dict[str, RunTally] = {}
        # Who has facts and no rows is not counted yet: more is kept at first than will be listed.
        most = runs_listed(len(self._rows))
        for row in self._ledger.rows_stamped_between(self.month.start, self.month.end):
            customer = row["customerId"]["S"]
            self._with_facts.add(customer)
            if row["kind"].get("S") != FactKind.FILE:
                continue
            try:
                tallies.setdefault(customer, RunTally(most)).add(decode_item(row))
            except MalformedRow as error:
                found[customer] = error
        listed = min(most, runs_listed(len(self._with_facts)))
        for customer, tally in tallies.items():
            found.setdefault(customer, tally.runs(listed))
        return found

    @property
    def customers(self) -> list[str]:
        """Each customer with daily rows or facts, by id."""
        return sorted(self._with_facts)

    def facts_of(self, customers: Sequence[str]) -> Mapping[str, ReadAttributes]:
        """The month's facts of these customers, by key, with what shows that one was corrected."""
        keys = [storage_key(customer, str(self.month)) for customer in customers]
        found = self._ledger.rows(keys)
        decided = [
            key
            for fact, row in found.items()
            for key in (correction_key(fact, 1), cancellation_key(_identifier(row)))
        ]
        return {**found, **self._ledger.rows(decided)}

    def of(self, customer_id: str, facts: Mapping[str, ReadAttributes]) -> Recorded:
        """What there is of one of them.

        Raises:
            MalformedRow: a row or fact makes no sense.
        """
        key = storage_key(customer_id, str(self.month))
        item = decode_item(facts[key]) if key in facts else None
        rows = self._rows.get(customer_id, ())
        if isinstance(rows, MalformedRow) or not self._settled(rows, item):
            rows = self._daily.month(customer_id, self.month)
        corrections: tuple[LedgerItem, ...] = ()
        if item is not None and not facts.keys().isdisjoint(
            {correction_key(key, 1), cancellation_key(item.identifier)}
        ):
            corrections = self._ledger.corrected(item).parts[1:]
        runs = self._runs.get(customer_id, NO_RUNS)
        if isinstance(runs, MalformedRow):
            raise runs
        return Recorded(
            rows=rows,
            item=item,
            corrections=corrections,
            notes=None if item is None else self._notes.get(customer_id),
            runs=runs,
        )

    def _settled(self, rows: Sequence[DailyRow], item: LedgerItem | None) -> bool:
        """Whether every day is there, as it was billed where it was."""
        if len(rows) < self._passed:
            return False
        basis = None if item is None else item.fact.basis
        return basis is None or sum(row.total_bytes for row in rows) == basis.total_bytes


def _identifier(row: ReadAttributes) -> str:
    return row.get("identifier", {}).get("S", "")
