"""The customers: ours against Stripe's, and whether each one's usage is billed to anybody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker import expressions
from worker.doctor.asking import asked
from worker.doctor.check import failed, ok, warning
from worker.stripe_api.customers import stripe_customer_ids
from worker.tables.attributes import text
from worker.tables.customers import table_customer_ids
from worker.tables.daily import STATUS_INDEX, BillingStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import date

    from mypy_boto3_dynamodb import DynamoDBClient

    from worker.clock import Clock
    from worker.doctor.check import Verdict
    from worker.names import TableNames
    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.subscriptions import StripeSubscriptions

_NAMED = 10
# The day's rows are there an hour or two after midnight.
_SIZED_AFTER = timedelta(hours=3)


class CustomersCheck:
    """Looks at customers.

    Args:
        dynamodb: the client.
        names: the tables'.
        stripe: the connection.
        subscriptions: who is subscribed to what.
        event_name: the storage meter's.
        clock: the time.
    """

    def __init__(
        self,
        *,
        dynamodb: DynamoDBClient,
        names: TableNames,
        stripe: StripeConnection,
        subscriptions: StripeSubscriptions,
        event_name: str,
        clock: Clock,
    ) -> None:
        self._dynamodb = dynamodb
        self._names = names
        self._stripe = stripe
        self._subscriptions = subscriptions
        self._event_name = event_name
        self._clock = clock

    def look_at_ids(self) -> Iterator[Verdict]:
        """Customers of our table that Stripe does not know, and the reverse."""
        with asked(self._stripe, "customers", "Customers"):
            theirs = set(stripe_customer_ids(self._stripe))
        ours = set(table_customer_ids(self._dynamodb, self._names.customers))
        unknown, elsewhere = sorted(ours - theirs), sorted(theirs - ours)
        yield ok(f"{len(ours):,}, all known to Stripe")
        if unknown:
            yield failed(
                f"Stripe does not know {_some(unknown)}: it would refuse their usage",
                "create them in Stripe under these ids, or remove them from "
                f"{self._names.customers}, or use the key of the account and mode that has them",
            )
        if elsewhere:
            yield warning(
                f"Stripe knows {_some(elsewhere)}, and our table does not: nothing of theirs is "
                "sized or billed",
                f"put them into {self._names.customers} if they store files, or set "
                "SIFTBEAM_CUSTOMER_SOURCE=stripe",
            )

    def look_at_subscriptions(self) -> Iterator[Verdict]:
        """Customers who hold something and whose usage no subscription bills."""
        day = self._last_sized_day()
        holding = self._holding(day)
        with asked(self._stripe, "subscriptions", "Subscriptions"):
            subscribed = self._subscriptions.customers_on(self._event_name)
        bare = sorted(holding - subscribed)
        if bare:
            yield failed(
                f"{_some(bare)} held files on {day} and {'have' if len(bare) > 1 else 'has'} no "
                "active subscription on the meter's price: the usage is billed to nobody",
                "subscribe them to the price (`siftbeam-billing stripe check` prints its id), "
                "backdated to the month's start",
            )
        else:
            yield ok(f"{len(holding):,} customers with usage on {day}, all subscribed")

    def _last_sized_day(self) -> date:
        return (self._clock.now() - _SIZED_AFTER).date()

    def _holding(self, day: date) -> set[str]:
        pages = self._dynamodb.get_paginator("query").paginate
        return {
            row["customerId"]["S"]
            for status in BillingStatus
            for page in pages(
                TableName=self._names.daily,
                IndexName=STATUS_INDEX,
                KeyConditionExpression=expressions.DAILY_AT,
                ProjectionExpression=expressions.DAILY_HELD,
                ExpressionAttributeNames=expressions.names_in(expressions.DAILY_AT),
                ExpressionAttributeValues={":status": text(status), ":date": text(str(day))},
            )
            for row in page["Items"]
            if row.get("totalStorageBytes", {}).get("N", "0") != "0"
        }


def _some(names: Sequence[str] | Collection[str]) -> str:
    """The first of them, and how many more."""
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
