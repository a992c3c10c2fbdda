"""Reading statements: by the same reads as billing itself. Nothing is sent or written."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from worker.crew import worked_through
from worker.errors import BillingError
from worker.ledger.fact import LONGEST_VALUE_DIGITS, FactKind, storage_key
from worker.ledger.item import OPEN
from worker.statement.month_reading import CHUNK, MonthReading, Recorded
from worker.statement.runs import RunTally
from worker.statement.statement import Statement
from worker.usage import MonthFigures, month_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from producers.billing_month import BillingMonth
    from worker.clock import Clock
    from worker.controls import Controls
    from worker.ledger.store import Ledger
    from worker.price import PriceList
    from worker.settlement import SendPolicy
    from worker.statement.runs import Runs
    from worker.tables.daily import DailyRow, DailyTable
    from worker.tables.monthly import MonthlyTable

_THREADS = 8
# So few are read one by one, each as it stands this moment.
_FEW = 50
_DAY = timedelta(days=1)


class StatementReader:
    """Makes statements of what the tables hold now.

    Args:
        daily: the rows that are averaged.
        monthly: the notes on what came of it.
        ledger: what is frozen already, and the processing runs.
        policy: what is sent at all.
        controls: which customers are never billed.
        stamp: as billing stamps a month: ``month_end`` or ``now``.
        prices: what usage costs.
        average_over: the days that the sum is divided by, ``recorded`` or ``calendar``.
        clock: tells which days have passed.
    """

    def __init__(
        self,
        *,
        daily: DailyTable,
        monthly: MonthlyTable,
        ledger: Ledger,
        policy: SendPolicy,
        controls: Callable[[], Controls],
        stamp: Literal["month_end", "now"],
        prices: PriceList,
        average_over: Literal["recorded", "calendar"],
        clock: Clock,
    ) -> None:
        self._daily = daily
        self._monthly = monthly
        self._ledger = ledger
        self._policy = policy
        self._controls = controls
        self._stamp_at = stamp
        self._prices = prices
        self._average_over = average_over
        self._clock = clock

    def of_month(
        self, month: BillingMonth, *, runs_listed: Callable[[int], int] = lambda _: 0
    ) -> StatementsOfMonth:
        """Every customer's month, read together; see :class:`MonthReading`.

        Args:
            month: the month.
            runs_listed: how many runs of each are listed one by one, of so many customers.
        """
        reading = MonthReading(
            daily=self._daily,
            monthly=self._monthly,
            ledger=self._ledger,
            month=month,
            today=self._clock.now().date(),
            runs_listed=runs_listed,
        )
        return StatementsOfMonth(self, reading, runs_listed)

    def of_customer(
        self, customer_id: str, month: BillingMonth, *, runs_listed: int = 0
    ) -> Statement:
        """One customer's month; a row or fact that makes no sense is named as its problem."""
        return self.told(customer_id, month, partial(self._read, customer_id, month, runs_listed))

    def told(
        self, customer_id: str, month: BillingMonth, read: Callable[[], Recorded]
    ) -> Statement:
        """What was read of a customer's month, as a statement; likewise."""
        try:
            return self._statement(customer_id, month, read())
        except BillingError as error:
            return Statement(
                customer_id=customer_id, month=month, prices=self._prices, problem=str(error)
            )

    def _read(self, customer_id: str, month: BillingMonth, runs_listed: int) -> Recorded:
        """By strongly consistent reads."""
        rows = self._daily.month(customer_id, month)
        item = self._ledger.find(storage_key(customer_id, str(month)))
        standing = None if item is None else self._monthly.standing(customer_id, month)
        return Recorded(
            rows=rows,
            item=item,
            corrections=() if item is None else self._ledger.corrected(item).parts[1:],
            notes=None if standing is None else standing.notes,
            runs=self._runs(customer_id, month, runs_listed),
        )

    def _statement(self, customer_id: str, month: BillingMonth, found: Recorded) -> Statement:
        rows, item = found.rows, found.item
        recorded = {row.day for row in rows}
        # Of a customer who leaves, the days after the last one are not missing.
        last = month.last_day if item is None else item.fact.stamped_at.date()
        figures = self._figures(rows, month, last)
        today = min(self._clock.now().date(), last + _DAY)
        return Statement(
            customer_id=customer_id,
            month=month,
            prices=self._prices,
            days=rows,
            missing=tuple(day for day in month.days if day < today and day not in recorded),
            figures=figures,
            storage=item,
            corrections=found.corrections,
            runs=found.runs,
            notes=found.notes,
            skipped=self._skipped(customer_id, month) if item is None else None,
            paused=self._paused(customer_id) if item is None or item.state in OPEN else None,
            problem=_too_large(figures) if item is None else None,
        )

    def _figures(
        self, rows: Sequence[DailyRow], month: BillingMonth, last: date
    ) -> MonthFigures | None:
        """What the rows come to now, by the settings' policy; of a running month, so far."""
        rows = [row for row in rows if row.day <= last]
        if not rows:
            return None
        whole = None
        if self._average_over == "calendar":
            whole = min(month.last_day, last, max(self._clock.now().date(), rows[-1].day)).day
        return month_figures((row.total_bytes for row in rows), whole)

    def _skipped(self, customer_id: str, month: BillingMonth) -> str | None:
        """Why the month would not be billed; None where it would."""
        return self._policy.skips(self._stamp(month)) or self._controls().skips(customer_id)

    def _paused(self, customer_id: str) -> str | None:
        pause = self._controls().pause_of(customer_id)
        return None if pause is None else f"sending is paused {pause}"

    def _stamp(self, month: BillingMonth) -> datetime:
        return month.closing_stamp if self._stamp_at == "month_end" else self._clock.now()

    def _runs(self, customer_id: str, month: BillingMonth, runs_listed: int) -> Runs:
        tally = RunTally(runs_listed)
        for item in self._ledger.stamped_between(
            customer_id, FactKind.FILE, month.start, month.end
        ):
            tally.add(item)
        return tally.runs(runs_listed)


class StatementsOfMonth:
    """A month's statements, as one reading found them.

    Args:
        reader: makes them.
        reading: what was read.
        runs_listed: as it was read with.
    """

    def __init__(
        self, reader: StatementReader, reading: MonthReading, runs_listed: Callable[[int], int]
    ) -> None:
        self._reader = reader
        self._reading = reading
        self._runs_listed = runs_listed

    @property
    def customers(self) -> list[str]:
        """Each customer with daily rows or facts, by id."""
        return self._reading.customers

    def stream(self, customers: Sequence[str]) -> Iterator[Statement]:
        """Each of these customers' statement, in their order; few are read anew, one by one."""
        reader, reading = self._reader, self._reading
        if len(customers) < _FEW:
            listed = self._runs_listed(len(customers))
            yield from worked_through(
                customers,
                lambda customer: reader.of_customer(customer, reading.month, runs_listed=listed),
                threads=_THREADS,
            )
            return
        chunks = (customers[start : start + CHUNK] for start in range(0, len(customers), CHUNK))

        def read(chunk: Sequence[str]) -> list[Statement]:
            facts = reading.facts_of(chunk)
            return [
                reader.told(customer, reading.month, partial(reading.of, customer, facts))
                for customer in chunk
            ]

        for statements in worked_through(chunks, read, threads=_THREADS):
            yield from statements


def _too_large(figures: MonthFigures | None) -> str | None:
    if figures is None or len(str(figures.average)) <= LONGEST_VALUE_DIGITS:
        return None
    return (
        f"the average of {figures.average} bytes has more than the {LONGEST_VALUE_DIGITS} digits "
        "that Stripe takes: billing will reject it; check the daily rows"
    )
