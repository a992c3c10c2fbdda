"""The witness: what S3, DynamoDB and Stripe hold, read without the worker's own code.

Nothing here lists, sums or rounds by what it is to check.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from worker.demo.cast import CastRun
    from worker.demo.stage import Stage

    Row = dict[str, AttributeValueTypeDef]


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes and objects."""

    total_bytes: int
    objects: int


@dataclass(frozen=True, slots=True)
class SeenDay:
    """A daily row."""

    customer_id: str
    day: date
    held: Held
    status: str


@dataclass(frozen=True, slots=True)
class SeenMonth:
    """A monthly row. Amounts in bytes."""

    customer_id: str
    average: int
    amount: int
    days: int
    status: str
    meter_status: str
    notes: str


@dataclass(frozen=True, slots=True)
class SeenLine:
    """An invoice's line: usage in bytes, units billed, US cents."""

    usage: int
    quantity: int
    cents: int


class Witness:
    """Looks at what came of a story.

    Args:
        stage: where it was played.
    """

    def __init__(self, stage: Stage) -> None:
        self._clients = stage.installation.clients
        self._settings = stage.installation.settings
        self._tables = stage.installation.tables
        self._month = stage.month
        self._simulator = stage.simulator

    def held(self, customer_id: str) -> Held:
        """What a customer holds in S3, in both prefixes."""
        folders = (self._settings.input_prefix, self._settings.output_prefix)
        sizes = [size for folder in folders for _, size in self._objects(f"{folder}{customer_id}/")]
        return Held(sum(sizes), len(sizes))

    def run_bytes(self, run: CastRun) -> int:
        """The bytes of a run's input files in S3."""
        folder = f"{self._settings.input_prefix}{run.customer_id}/{run.run_id}/"
        return sum(
            size for key, size in self._objects(folder) if not key.endswith("/_trigger.json")
        )

    def days(self) -> tuple[SeenDay, ...]:
        """Every daily row."""
        return tuple(
            SeenDay(
                customer_id=row["customerId"]["S"],
                day=date.fromisoformat(row["date"]["S"]),
                held=Held(int(row["totalStorageBytes"]["N"]), int(row["totalFileCount"]["N"])),
                status=row["billingStatus"]["S"],
            )
            for row in self._rows(self._tables.daily)
        )

    def months(self) -> dict[str, SeenMonth]:
        """The month's monthly rows, by customer."""
        return {
            row["customerId"]["S"]: SeenMonth(
                customer_id=row["customerId"]["S"],
                average=int(row["averageStorageBytes"]["N"]),
                amount=int(row["stripeMeterAmount"]["N"]),
                days=int(row["totalStorageDays"]["N"]),
                status=row["billingStatus"]["S"],
                meter_status=row["stripeMeterStatus"]["S"],
                notes=row.get("notes", {}).get("S", ""),
            )
            for row in self._rows(self._tables.monthly)
            if row["billingMonth"]["S"] == str(self._month)
        }

    def counted(self, customer_id: str, event_name: str) -> int:
        """The bytes that Stripe counts, stamped in the month."""
        start, end = self._period()
        events = self._simulator.truth(customer_id, event_name).counted
        return sum(int(event.value) for event in events if start <= event.timestamp < end)

    def refused(self, customer_id: str, event_name: str) -> tuple[str, ...]:
        """The codes under which Stripe refused events after it had taken them."""
        return tuple(event.code for event in self._simulator.truth(customer_id, event_name).refused)

    def offers(self) -> dict[str, int]:
        """How often each meter event was offered to Stripe, by identifier."""
        truth = self._simulator.truth()
        return {event.identifier: event.offers for event in (*truth.counted, *truth.refused)}

    def line(self, customer_id: str, event_name: str) -> SeenLine | None:
        """The line of the month's invoice for a meter; None where there is no invoice."""
        start, end = self._period()
        lines = [
            line
            for line in self._simulator.truth(customer_id, event_name).lines
            if (line.period_start, line.period_end) == (start, end)
        ]
        if not lines:
            return None
        return SeenLine(
            usage=sum(line.usage for line in lines),
            quantity=sum(line.quantity for line in lines),
            cents=sum(line.amount for line in lines),
        )

    def _period(self) -> tuple[int, int]:
        begin = datetime.combine(self._month.first_day, datetime.min.time(), tzinfo=UTC)
        return int(begin.timestamp()), int(self._month.end.timestamp())

    def _objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        pages = self._clients.s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._settings.bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield entry["Key"], entry["Size"]

    def _rows(self, table: str) -> Iterator[Row]:
        for page in self._clients.dynamodb.get_paginator("scan").paginate(
            TableName=table, ConsistentRead=True
        ):
            yield from page["Items"]
