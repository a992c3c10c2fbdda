"""A month of many customers, read together.

Read one by one, a customer takes half a dozen calls; together, a hundred take three or four, and
the daily rows come from the month's index, thousands a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.ledger.codec import decode_item
from worker.ledger.fact import FactKind, cancellation_key, correction_key, storage_key
from worker.tables.attributes import MalformedRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
        has_runs: whether the ledger may have processing runs of it.
    """

    rows: tuple[DailyRow, ...]
    item: LedgerItem | None
    corrections: tuple[LedgerItem, ...] = ()
    notes: str | None = None
    has_runs: bool = True


class MonthReading:
    """Reads many customers of one month. Safe between threads.

    The indexes lag the tables by moments. So whoever lacks a day, or whose rows are not those that
    were billed, is read again from the tables.

    Args:
        daily: the rows.
        monthly: the notes on what came of them.
        ledger: the facts.
        month: the month.
        today: the days before it are expected.
    """

    def __init__(
        self,
        *,
        daily: DailyTable,
        monthly: MonthlyTable,
        ledger: Ledger,
        month: BillingMonth,
        today: date,
    ) -> None:
        self._passed = sum(1 for day in month.days if day < today)
        self._daily = daily
        self._ledger = ledger
        self._month = month
        self._rows = daily.whole_month(month)
        self._notes = monthly.noted(month)
        stamped = ledger.customers_stamped_between(month.start, month.end)
        self._with_runs = stamped[FactKind.FILE]

    def facts_of(self, customers: Sequence[str]) -> Mapping[str, ReadAttributes]:
        """The month's facts of these customers, by key, with what shows that one was corrected."""
        keys = [storage_key(customer, str(self._month)) for customer in customers]
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
        key = storage_key(customer_id, str(self._month))
        item = decode_item(facts[key]) if key in facts else None
        rows = self._rows.get(customer_id, ())
        if isinstance(rows, MalformedRow) or not self._settled(rows, item):
            rows = self._daily.month(customer_id, self._month)
        corrections: tuple[LedgerItem, ...] = ()
        if item is not None and not facts.keys().isdisjoint(
            {correction_key(key, 1), cancellation_key(item.identifier)}
        ):
            corrections = self._ledger.corrected(item).parts[1:]
        return Recorded(
            rows=rows,
            item=item,
            corrections=corrections,
            notes=None if item is None else self._notes.get(customer_id),
            has_runs=customer_id in self._with_runs,
        )

    def _settled(self, rows: Sequence[DailyRow], item: LedgerItem | None) -> bool:
        """Whether every day is there, as it was billed where it was."""
        if len(rows) < self._passed:
            return False
        basis = None if item is None else item.fact.basis
        return basis is None or sum(row.total_bytes for row in rows) == basis.total_bytes


def _identifier(row: ReadAttributes) -> str:
    return row.get("identifier", {}).get("S", "")
