"""The product's tables, as their template declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.tables import DynamoDB, Index, Table

if TYPE_CHECKING:
    from tests.simulation.faults import Faults
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather


def billing_tables(scheduler: Scheduler, faults: Faults, weather: Weather) -> DynamoDB:
    """All of them, empty."""

    def table(name: str, key: tuple[str, ...], *indexes: Index) -> Table:
        return Table(
            f"siftbeam-{name}", key, indexes, scheduler=scheduler, faults=faults, weather=weather
        )

    texts = {"billingMonth": "S", "customerId": "S", "billingStatus": "S", "date": "S"}
    return DynamoDB(
        (
            table("customers", ("customerId",)),
            table(
                "storage-usage-daily",
                ("customerId", "date"),
                Index("billingMonth-index", "billingMonth", "customerId", texts),
                Index("billingStatus-date-index", "billingStatus", "date", texts),
            ),
            table(
                "storage-usage-monthly",
                ("customerId", "billingMonth"),
                Index("billingStatus-month-index", "billingStatus", "billingMonth", texts),
            ),
            table("processing-history", ("processing-historyId",)),
            table(
                "billing-ledger",
                ("fact",),
                Index(
                    "customerEvent-timestamp-index",
                    "customerEvent",
                    "timestamp",
                    {"customerEvent": "S", "timestamp": "N"},
                ),
                Index(
                    "open-nextAttemptAt-index",
                    "openShard",
                    "nextAttemptAt",
                    {"openShard": "S", "nextAttemptAt": "N"},
                ),
            ),
        )
    )
