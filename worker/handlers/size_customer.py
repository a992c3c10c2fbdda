"""Daily sizing: what a customer holds, as one row."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from producers.billing_month import BillingMonth
from worker.errors import Permanent
from worker.lease import check_lease
from worker.outcome import Done, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from producers.messages import SizeCustomer
    from worker.clock import Clock
    from worker.listing.long_listing import Measuring
    from worker.measuring.measurer import Measurer
    from worker.month_rows import MonthRows
    from worker.prefixes import Prefixes
    from worker.tables.daily import DailyTable


class DayNotBegun(Permanent):
    """The day to be measured lies in the future."""


class SizeCustomerHandler:
    """Measures a customer and writes the day's row.

    Args:
        measuring: makes what sums up the prefixes of one message.
        prefixes: where a customer's objects lie.
        measurer: measures the customer.
        daily: the rows.
        month_rows: is told of a row that comes after its month was billed.
        clock: the time.
        recorded: is told of each row that was written.
    """

    def __init__(
        self,
        *,
        measuring: Callable[[], Measuring],
        prefixes: Prefixes,
        measurer: Measurer,
        daily: DailyTable,
        month_rows: MonthRows,
        clock: Clock,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self._measuring = measuring
        self._prefixes = prefixes
        self._measurer = measurer
        self._daily = daily
        self._month_rows = month_rows
        self._clock = clock
        self._recorded = recorded

    def handle(self, message: SizeCustomer) -> Outcome:
        """Measure and record; a row that left ``pending`` stays as it is.

        Raises:
            DayNotBegun: the message names a day after today (UTC).
            LeaseLost: the message is another worker's by now; nothing was written.
            botocore.exceptions.ClientError: a listing failed; nothing was written.
        """
        today = self._clock.now().astimezone(UTC).date()
        if message.date > today:
            raise DayNotBegun(
                f"{message.date} has not begun (today is {today} UTC): nothing to measure yet; "
                "enqueue that day when it has come"
            )
        measuring = self._measuring()
        measure = self._measurer.measure(
            message.customer_id,
            message.date,
            lambda prefix: measuring.usage(prefix, message.date),
        )
        check_lease()
        measured_at = self._clock.now()
        recorded = self._daily.record(message.customer_id, message.date, measure, measured_at)
        for prefix in (
            self._prefixes.uploaded(message.customer_id),
            self._prefixes.produced(message.customer_id),
        ):
            measuring.written(prefix)
        if not recorded:
            return Done("a row that this measure may not replace stands, left as it is")
        self._recorded()
        month = BillingMonth(message.date.year, message.date.month)
        if month.end <= measured_at:
            self._month_rows.note_late_rows(message.customer_id, month)
        return Done("recorded")
