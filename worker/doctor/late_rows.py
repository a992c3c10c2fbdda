"""Daily rows that came after their month was billed: they are on no invoice."""

from __future__ import annotations

import getpass
import itertools
from datetime import date
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from worker import expressions
from worker.doctor.asking import tables_there
from worker.doctor.check import ok, warning
from worker.doctor.shell import billing
from worker.ledger.fact import storage_key
from worker.month_rows import basis_of
from worker.tables.attributes import text
from worker.tables.daily import STATUS_INDEX, BillingStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from worker.clock import Clock
    from worker.doctor.check import Verdict
    from worker.ledger.store import Ledger

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH = 100
_NAMED = 20


class LateRows:
    """Finds pending rows of ended months whose fact was frozen without them.

    Args:
        dynamodb: the client.
        table: the daily table's name.
        ledger: says what was frozen.
        clock: tells which months have ended.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str, ledger: Ledger, clock: Clock) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._ledger = ledger
        self._clock = clock

    def look(self) -> Iterator[Verdict]:
        """Name the first late rows there are."""
        with tables_there("the daily table, the ledger"):
            late = list(itertools.islice(self._late(), _NAMED + 1))
        if not late:
            yield ok("none")
            return
        named = ", ".join(f"{customer} {day}" for customer, day in late[:_NAMED])
        facts = dict.fromkeys(storage_key(customer, _month(day)) for customer, day in late)
        decision = ("--by", getpass.getuser(), "--why", "rows that came late")
        yield warning(
            f"billed without these rows: {named}{', and more' if len(late) > _NAMED else ''}",
            "bill the difference as a fact of its own; it is shown first, and asked about",
            *(billing("adjust", fact, "--from-rows", *decision) for fact in facts),
        )

    def _late(self) -> Iterator[tuple[str, date]]:
        """Customer and day of each late row, oldest first as far as one batch goes."""
        rows = self._pending()
        # By fact; None where the month has none yet. Rows come by date, so customers come again.
        billed: dict[str, Collection[int] | None] = {}
        while batch := list(itertools.islice(rows, _BATCH)):
            new = {storage_key(customer, _month(day)) for customer, day in batch} - billed.keys()
            there = self._ledger.existing(new)
            billed.update((key, self._billed_days(key) if key in there else None) for key in new)
            for customer, day in batch:
                days = billed[storage_key(customer, _month(day))]
                if days is not None and day.day not in days:
                    yield customer, day

    def _pending(self) -> Iterator[tuple[str, date]]:
        first_open = BillingMonth.containing(self._clock.now()).first_day
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=STATUS_INDEX,
            KeyConditionExpression=expressions.DAILY_OPEN_BEFORE,
            ProjectionExpression=expressions.DAILY_OPEN_FIELDS,
            ExpressionAttributeNames=expressions.names_in(
                expressions.DAILY_OPEN_BEFORE, expressions.DAILY_OPEN_FIELDS
            ),
            ExpressionAttributeValues={
                ":pending": text(BillingStatus.PENDING),
                ":date": text(first_open.isoformat()),
            },
        )
        for page in pages:
            for row in page["Items"]:
                day = _day(row["date"]["S"])
                if day is not None:
                    yield row["customerId"]["S"], day

    def _billed_days(self, key: str) -> Collection[int]:
        item = self._ledger.find(key)
        return () if item is None else basis_of(item).days


def _day(written: str) -> date | None:
    """The date; None for text that is none, which billing itself complains of."""
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


def _month(day: date) -> str:
    return str(BillingMonth(day.year, day.month))
