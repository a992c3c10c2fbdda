"""The customers: ours against Stripe's, and whether each one's usage is billed to anybody."""

from __future__ import annotations

import itertools
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from producers.instant import epoch_seconds
from worker import expressions
from worker.crew import worked_through
from worker.doctor.asking import asked, tables_there
from worker.doctor.check import NotChecked, failed, ok, warning
from worker.doctor.shell import billing, stripe_post
from worker.ledger.fact import FactKind
from worker.ledger.item import State
from worker.stripe_api.customers import stripe_customer_ids
from worker.stripe_api.meters import stripe_meters
from worker.stripe_api.prices import meter_prices
from worker.tables.attributes import text
from worker.tables.customers import table_customer_ids
from worker.tables.daily import STATUS_INDEX, BillingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from mypy_boto3_dynamodb import DynamoDBClient

    from worker.clock import Clock
    from worker.controls import Controls
    from worker.doctor.check import Verdict
    from worker.ledger.store import Ledger
    from worker.names import TableNames
    from worker.settings import Settings
    from worker.stripe_api.connection import StripeConnection
    from worker.stripe_api.subscriptions import StripeSubscriptions

_NAMED = 10
# The day's rows are there an hour or two after midnight.
_SIZED_AFTER = timedelta(hours=3)
_THREADS = 8
# Whose runs are looked for one by one: more are without a subscription only where nobody has one.
_LOOKED_AT = 1000


class CustomersCheck:
    """Looks at customers. Those excluded from billing are nobody's concern here.

    Args:
        dynamodb: the client.
        names: the tables'.
        stripe: the connection.
        subscriptions: who is subscribed to what.
        ledger: knows whose files were processed.
        controls: who is excluded.
        settings: the meters' names, the currency, and where customers come from.
        clock: the time.
    """

    def __init__(
        self,
        *,
        dynamodb: DynamoDBClient,
        names: TableNames,
        stripe: StripeConnection,
        subscriptions: StripeSubscriptions,
        ledger: Ledger,
        controls: Callable[[], Controls],
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._dynamodb = dynamodb
        self._names = names
        self._stripe = stripe
        self._subscriptions = subscriptions
        self._ledger = ledger
        self._controls = controls
        self._settings = settings
        self._clock = clock

    def look_at_ids(self) -> Iterator[Verdict]:
        """Customers of our table that Stripe does not know, and the reverse."""
        theirs, ours = self._theirs, self._ours
        unknown = sorted(ours - theirs - self._excluded)
        elsewhere = sorted(theirs - ours - self._excluded)
        yield ok(f"{len(ours):,}, all known to Stripe")
        if unknown:
            yield failed(
                f"Stripe does not know {_some(unknown)}: it would refuse their usage",
                "use the key of the account and mode that has them; those who are not to be "
                "billed, exclude",
                *(
                    billing("exclude", customer, "--why", "not in Stripe")
                    for customer in unknown[:_NAMED]
                ),
            )
        if elsewhere:
            yield warning(
                f"Stripe knows {_some(elsewhere)}, and our table does not: nothing of theirs is "
                "sized or billed",
                f"put them into {self._names.customers} if they store files, or set "
                "SIFTBEAM_CUSTOMER_SOURCE=stripe; those who are not to be billed, exclude",
                *(
                    billing("exclude", customer, "--why", "stores no files")
                    for customer in elsewhere[:_NAMED]
                ),
            )

    def look_at_subscriptions(self) -> Iterator[Verdict]:
        """Customers with usage of either kind that no subscription bills."""
        day = self._last_sized_day()
        settings = self._settings
        with tables_there("the daily table"):
            holding = self._holding(day) - self._excluded
        with asked(self._stripe, "subscriptions", "Subscriptions"):
            meters = {
                meter.event_name: meter.id for meter in stripe_meters(self._stripe) if meter.active
            }
            subscribed = self._subscriptions.customers_on(meters.values())
            known = self._theirs
        lacking = {settings.storage_event_name, settings.file_event_name} - meters.keys()
        if lacking:
            raise NotChecked(f"there is no active meter, see meter {min(lacking)}")
        storage, files = meters[settings.storage_event_name], meters[settings.file_event_name]
        # Whom Stripe does not know cannot be subscribed: that is the customers' own check.
        holders = sorted((holding & known) - subscribed[storage])
        candidates = sorted((known & (self._ours | holding)) - subscribed[files] - self._excluded)
        runners = [each for each in self._with_runs(candidates[:_LOOKED_AT], day) if each]
        found = []
        if holders:
            found.append(f"{_some(holders)} held files on {day}")
        if runners:
            found.append(
                f"{_some(runners)} had files processed since {BillingMonth.of(day).first_day}"
            )
        if not found:
            yield ok(f"{len(holding):,} customers with usage on {day}, all subscribed")
            return
        yield failed(
            f"{' and '.join(found)}, with no active subscription on the meter's price: the usage "
            "is billed to nobody",
            "subscribe them from the month's beginning on, or exclude who is not to be billed "
            "(`siftbeam-billing exclude`)",
            *self._subscribing({storage: holders, files: runners}, day),
        )

    def _subscribing(self, bare: Mapping[str, Sequence[str]], day: date) -> Iterator[str]:
        """The Stripe CLI's commands for as many customers as are named.

        https://docs.stripe.com/billing/subscriptions/backdating

        Args:
            bare: by meter, who is to be subscribed to it.
            day: in the month from whose beginning on.
        """
        with asked(self._stripe, "prices", "Prices"):
            live = self._stripe.account().livemode
            prices = {meter: self._price(meter) for meter in bare}
        now, month = self._clock.now(), BillingMonth.of(day)
        ahead = {"billing_cycle_anchor": epoch_seconds(month.end)} if now < month.end else {}
        for customer in list(dict.fromkeys(itertools.chain(*bare.values())))[:_NAMED]:
            wanted = [prices[meter] for meter, lacking in bare.items() if customer in lacking]
            fields: dict[str, str | int] = {
                "customer": customer,
                **{
                    f"items[{index}][price]": price
                    for index, price in enumerate(filter(None, wanted))
                },
                "backdate_start_date": epoch_seconds(month.start),
                **ahead,
                "proration_behavior": "none",
            }
            yield stripe_post("/v1/subscriptions", fields, live=live)

    def _price(self, meter_id: str) -> str | None:
        """The price that the settings' currency is paid by, the newest; None without any."""
        prices = meter_prices(self._stripe, meter_id)
        ours = [each for each in prices if each.terms.currency == self._settings.currency]
        return next((each.id for each in (*ours, *prices)), None)

    @cached_property
    def _theirs(self) -> set[str]:
        with asked(self._stripe, "customers", "Customers"):
            return set(stripe_customer_ids(self._stripe))

    @cached_property
    def _ours(self) -> set[str]:
        if self._settings.customer_source == "stripe":
            return self._theirs
        with tables_there("the customers' table"):
            return set(table_customer_ids(self._dynamodb, self._names.customers))

    @cached_property
    def _excluded(self) -> set[str]:
        with tables_there("the ledger"):
            return set(self._controls().excluded)

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

    def _with_runs(self, customers: Sequence[str], day: date) -> Iterator[str | None]:
        """Of these, who had a run billed since the month of the day began; None for the others."""
        start, end = BillingMonth.of(day).start, self._clock.now()

        def look(customer: str) -> str | None:
            items = self._ledger.stamped_between(customer, FactKind.FILE, start, end)
            billed = (item for item in items if item.fact.value and item.state != State.SKIPPED)
            return next((customer for _ in billed), None)

        with tables_there("the ledger"):
            yield from worked_through(customers, look, threads=_THREADS)


def _some(names: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
