"""Expected facts: what should stand in the ledger by now, and does not.

A message that SQS lost, or that nobody ever sent, leaves no trace of its own. So the ledger is held
against what the tables say should be there.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from worker.ledger.fact import storage_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    from worker.ledger.store import Ledger
    from worker.tables.daily import DailyTable

# Monthly billing starts two hours after a month's end, and waits for sizing an hour at most.
_EXPECTED_AFTER = timedelta(hours=4)
_WATCHED_FOR = timedelta(days=3)
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH = 100


class ExpectedFacts:
    """Compares the ledger with the usage rows.

    Args:
        daily: says which customers have rows in a month.
        ledger: says which facts there are.
    """

    def __init__(self, *, daily: DailyTable, ledger: Ledger) -> None:
        self._daily = daily
        self._ledger = ledger

    def missing(self, month: BillingMonth) -> Iterator[str]:
        """Each customer with rows in an ended month whose fact does not exist."""
        customers = self._daily.customers(month)
        while batch := list(itertools.islice(customers, _BATCH)):
            keys = {storage_key(customer, str(month)): customer for customer in batch}
            existing = self._ledger.existing(keys)
            yield from (customer for key, customer in keys.items() if key not in existing)


class MissingRows:
    """Compares the daily rows with the customers.

    Args:
        customers: every customer's id.
        daily: the rows.
    """

    def __init__(self, customers: Callable[[], Iterable[str]], daily: DailyTable) -> None:
        self._customers = customers
        self._daily = daily

    def of(self, day: date) -> Iterator[str]:
        """Each customer without a row of a day."""
        customers = iter(self._customers())
        while batch := list(itertools.islice(customers, _BATCH)):
            # The key of a table takes no empty text, and a batch no key twice.
            asked = dict.fromkeys(customer for customer in batch if customer)
            measured = self._daily.measured(asked, day)
            yield from (customer for customer in asked if customer not in measured)


def month_to_watch(now: datetime) -> BillingMonth | None:
    """The month whose facts should all be there by now; None outside its first days' watch."""
    month = BillingMonth.ended_before(now)
    since = now - month.end
    return month if _EXPECTED_AFTER <= since < _WATCHED_FOR else None
