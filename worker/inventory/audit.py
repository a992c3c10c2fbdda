"""The audit: a day's rows against an inventory, customer by customer."""

from __future__ import annotations

import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from worker.inventory.coverage import check_coverage
from worker.inventory.delivery import Delivery
from worker.inventory.errors import InventoryRefused
from worker.inventory.finding import Findings, Line
from worker.inventory.strays import Strays
from worker.inventory.tally import Tally, database
from worker.measuring.measurer import MEASURED_AT
from worker.usage import CustomerUsage, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from mypy_boto3_s3 import S3Client

    from worker.clock import Clock
    from worker.inventory.location import ManifestLocation
    from worker.inventory.manifest import DataFile, Manifest
    from worker.inventory.tally import Holding
    from worker.inventory.tolerance import Tolerance
    from worker.prefixes import Prefixes
    from worker.tables.daily import DailyRow, DailyTable

_NOTHING = CustomerUsage(Usage(0, 0), Usage(0, 0))
_HALF_A_DAY = timedelta(hours=12)


class Audit:
    """Compares rows with inventories.

    Args:
        s3: the client.
        daily: the rows.
        customers: every customer's id.
        bucket: whose inventory it is to be.
        prefixes: where customers' objects lie in it.
        every_version: whether versions that are no longer current are billed too.
        clock: the time.
    """

    def __init__(
        self,
        *,
        s3: S3Client,
        daily: DailyTable,
        customers: Callable[[], Iterator[str]],
        bucket: str,
        prefixes: Prefixes,
        every_version: bool,
        clock: Clock,
    ) -> None:
        self._s3 = s3
        self._delivery = Delivery(s3)
        self._daily = daily
        self._customers = customers
        self._bucket = bucket
        self._prefixes = prefixes
        self._every_version = every_version
        self._clock = clock

    def manifest(self, location: ManifestLocation, *, whole: bool) -> Manifest:
        """The manifest of an inventory that can be compared with.

        Args:
            location: where it is.
            whole: it is known to list the whole bucket; else its configuration has to say so.

        Raises:
            InventoryRefused: it is not complete, not ours, or lists a part; says why.
        """
        manifest = self._delivery.manifest(location)
        if manifest.source_bucket != self._bucket:
            raise InventoryRefused(
                f"the inventory is of {manifest.source_bucket}, and SIFTBEAM_BUCKET is "
                f"{self._bucket}"
            )
        if not whole:
            configuration = location.configuration(self._bucket)
            check_coverage(self._s3, self._bucket, configuration, self._prefixes)
        return manifest

    def day(self, manifest: Manifest) -> date:
        """The day whose measure is nearest to an inventory; none that is still to be measured."""
        nearest = manifest.created_at - _since_midnight() + _HALF_A_DAY
        return min(nearest, self._clock.now().astimezone(UTC) - _since_midnight()).date()

    def check_age(self, manifest: Manifest, day: date, within: timedelta) -> None:
        """Let through an inventory that was begun near a day's measure, before or after.

        Raises:
            InventoryRefused: it was not.
        """
        began = manifest.created_at
        if began > self._clock.now():
            raise InventoryRefused(
                f"the inventory says that it was begun at {began:%Y-%m-%d %H:%M} UTC, which is "
                "still to come"
            )
        apart = abs(began - datetime.combine(day, MEASURED_AT))
        if apart > within:
            raise InventoryRefused(
                f"the inventory was begun at {began:%Y-%m-%d %H:%M} UTC, {apart} from the measure "
                f"of {day} at {MEASURED_AT:%H:%M} UTC: name another inventory, or --date "
                f"{self.day(manifest)}, or allow for more with --within"
            )

    def compare(
        self,
        manifest: Manifest,
        day: date,
        tolerance: Tolerance,
        on_file: Callable[[DataFile], None] = lambda _: None,
    ) -> Findings:
        """Compare a day's rows with what an inventory lists.

        Args:
            manifest: of the inventory.
            day: of the rows.
            tolerance: what is no difference.
            on_file: is called after each file.

        Raises:
            InventoryRefused: a file is missing or not what the manifest says.
            AuditNotInstalled: DuckDB is not there.
            MalformedRow: a daily row makes no sense; names it.
        """
        with tempfile.TemporaryDirectory(prefix="siftbeam-audit-") as name:
            folder = Path(name)
            with database(folder) as connection:
                tally = Tally(
                    connection, manifest, self._prefixes, every_version=self._every_version
                )
                # Closed at once where a file is refused: the next one is still being fetched.
                with closing(self._delivery.files(manifest, folder)) as files:
                    for file, path in files:
                        tally.add(path, file.key)
                        on_file(file)
                return self._compare(manifest, day, tolerance, tally)

    def _compare(
        self, manifest: Manifest, day: date, tolerance: Tolerance, tally: Tally
    ) -> Findings:
        rows = dict(self._daily.of_day(day))
        row_bytes = sum(row.total_bytes for row in rows.values())
        strays = Strays(self._prefixes)
        known = set(self._customers()) | rows.keys()
        agreeing = listed_bytes = 0
        lines: list[Line] = []
        for line in self._lines(day, tally.owners(), rows, known, strays):
            listed_bytes += line.listed.total_bytes
            if tolerance.covers(line.row_bytes, line.listed.total_bytes):
                agreeing += line.row is not None
            else:
                lines.append(line)
        lines.sort(key=lambda line: (-abs(line.difference), line.customer_id))
        return Findings(
            manifest=manifest,
            day=day,
            entries=tally.entries(),
            agreeing=agreeing,
            row_bytes=row_bytes,
            listed_bytes=listed_bytes,
            lines=lines,
            unbilled=strays.unbilled(),
            elsewhere=tally.elsewhere(),
        )

    def _lines(
        self,
        day: date,
        owners: Iterator[Holding],
        rows: dict[str, DailyRow],
        known: set[str],
        strays: Strays,
    ) -> Iterator[Line]:
        """A line per customer; what is nobody's goes to the strays."""
        for holding in owners:
            customer = holding.owner
            if customer is None or customer not in known:
                strays.add(holding)
            else:
                row = rows.pop(customer, None) or self._row(customer, day)
                yield Line(customer, row, holding.usage)
        for customer, row in rows.items():
            yield Line(customer, row, _NOTHING)

    def _row(self, customer: str, day: date) -> DailyRow | None:
        """A row that the index does not show yet, or that moved while it was read."""
        month = self._daily.month(customer, BillingMonth(day.year, day.month))
        return next((row for row in month if row.day == day), None)


def _since_midnight() -> timedelta:
    return timedelta(hours=MEASURED_AT.hour, minutes=MEASURED_AT.minute)
