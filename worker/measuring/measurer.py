"""The measurer: what counts as held, by the biller's policies, and from what it is known."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Literal

import structlog

from worker.measuring.history import NotKept, existing, stored
from worker.usage import CustomerUsage, Measure, Source, Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from worker.clock import Clock
    from worker.measuring.incomplete_uploads import IncompleteUploads
    from worker.measuring.object_versions import ObjectVersions
    from worker.prefixes import Prefixes

_log = structlog.get_logger()
# When the day's own tick would have measured: cron(0 1 * * ? *).
MEASURED_AT = time(1, tzinfo=UTC)


class Measurer:
    """Measures customers.

    Args:
        prefixes: where a customer's objects lie.
        versions: what there was.
        uploads: multipart uploads that were never completed; None where they do not count.
        object_versions: ``current`` counts what a reader finds, ``all`` what S3 stores.
        clock: tells whether a day has passed.
    """

    def __init__(
        self,
        *,
        prefixes: Prefixes,
        versions: ObjectVersions,
        uploads: IncompleteUploads | None,
        object_versions: Literal["current", "all"],
        clock: Clock,
    ) -> None:
        self._prefixes = prefixes
        self._versions = versions
        self._uploads = uploads
        self._all = object_versions == "all"
        self._clock = clock

    def measure(self, customer_id: str, day: date, current: Callable[[str], Usage]) -> Measure:
        """What a customer holds; of a day that has passed, what was held at 01:00 UTC of it.

        That is worked out of object versions where the bucket has kept them all since; else what is
        held now stands in for it, and the measure says so.

        Args:
            customer_id: the customer.
            day: the day.
            current: sums up the objects there are under a prefix.

        Raises:
            ListingFailed: a page of a listing could not be had.
            botocore.exceptions.ClientError: likewise, of versions or uploads.
        """
        at = datetime.combine(day, MEASURED_AT)
        if day < self._clock.now().astimezone(UTC).date() and self._versions.reach(at):
            try:
                return Measure(self._both(customer_id, at, current), Source.VERSIONS)
            except NotKept as reason:
                _log.warning(
                    "a past day is measured as of now",
                    action="versions_not_kept",
                    customer=customer_id,
                    day=str(day),
                    reason=str(reason),
                )
        return Measure(self._both(customer_id, None, current))

    def _both(
        self, customer_id: str, at: datetime | None, current: Callable[[str], Usage]
    ) -> CustomerUsage:
        return CustomerUsage(
            uploaded=self._under(self._prefixes.uploaded(customer_id), at, current),
            produced=self._under(self._prefixes.produced(customer_id), at, current),
        )

    def _under(self, prefix: str, at: datetime | None, current: Callable[[str], Usage]) -> Usage:
        if self._all:
            usage = stored(self._versions.under(prefix), at)
        elif at is None:
            usage = current(prefix)
        else:
            usage = existing(self._versions.under(prefix), at)
        if self._uploads is None:
            return usage
        begun = self._uploads.usage(prefix, at)
        return Usage(usage.total_bytes + begun.total_bytes, usage.objects)
