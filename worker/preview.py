"""The preview: what a month's billing comes to, as things stand. Nothing is sent or written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from worker.crew import worked_through
from worker.errors import BillingError
from worker.ledger.fact import LONGEST_VALUE_DIGITS, FactKind, storage_key
from worker.ledger.item import COUNTED, OPEN, LedgerItem, State
from worker.price import PRICES
from worker.usage import MonthFigures, month_figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from producers.billing_month import BillingMonth
    from worker.clock import Clock
    from worker.ledger.store import Ledger
    from worker.settlement import SendPolicy
    from worker.tables.daily import DailyTable

_THREADS = 8
_BILLED = COUNTED | OPEN
_NOTHING = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class FrozenMonth:
    """The month's storage fact: what was frozen stands, whatever the rows say now.

    Args:
        state: where it stands.
        value: the bytes frozen.
        differs: whether the rows give another average now.
    """

    state: State
    value: int
    differs: bool


@dataclass(frozen=True, slots=True)
class FileUsage:
    """A month's processing runs by the ledger.

    Args:
        runs: facts that are, or are to be, billed.
        total_bytes: theirs.
        left_out: facts that are not: rejected, refused, skipped, or for a person to decide.
    """

    runs: int
    total_bytes: int
    left_out: int


@dataclass(frozen=True, slots=True)
class CustomerPreview:
    """What one customer's month comes to.

    Args:
        customer_id: the customer.
        figures: of the daily rows; None where there is none.
        missing: the days that have passed and have no row.
        frozen: the month's fact; None before it is billed.
        files: the processing runs.
        skipped: why the month's storage will be recorded only; None where it is to be sent.
        problem: why the month cannot be billed as it stands; None where it can.
    """

    customer_id: str
    figures: MonthFigures | None = None
    missing: tuple[date, ...] = ()
    frozen: FrozenMonth | None = None
    files: FileUsage = FileUsage(0, 0, 0)
    skipped: str | None = None
    problem: str | None = None

    @property
    def storage_bytes(self) -> int:
        """What is billed: what was frozen unless it is stuck or skipped, else the rows' average."""
        if self.frozen is not None:
            return self.frozen.value if self.frozen.state in _BILLED else 0
        billable = self.skipped is None and self.problem is None
        return self.figures.average if billable and self.figures is not None else 0

    @property
    def storage_dollars(self) -> Decimal:
        """The storage line."""
        return PRICES[FactKind.STORAGE].line(self.storage_bytes)

    @property
    def file_dollars(self) -> Decimal:
        """The file line."""
        return PRICES[FactKind.FILE].line(self.files.total_bytes)

    @property
    def dollars(self) -> Decimal:
        """Both lines."""
        return self.storage_dollars + self.file_dollars


@dataclass(slots=True)
class PreviewTotals:
    """The sums over customers. Bytes are averages and inputs, exact."""

    customers: int = 0
    storage_bytes: int = 0
    storage_dollars: Decimal = _NOTHING
    runs: int = 0
    file_bytes: int = 0
    file_dollars: Decimal = _NOTHING
    problems: int = 0

    def add(self, one: CustomerPreview) -> None:
        """Count one customer in."""
        self.customers += 1
        self.storage_bytes += one.storage_bytes
        self.storage_dollars += one.storage_dollars
        self.runs += one.files.runs
        self.file_bytes += one.files.total_bytes
        self.file_dollars += one.file_dollars
        self.problems += one.problem is not None

    @property
    def dollars(self) -> Decimal:
        """All lines."""
        return self.storage_dollars + self.file_dollars


class Preview:
    """Works out months by the same reads as billing itself.

    Args:
        daily: the rows that are averaged.
        ledger: what is frozen already, and the processing runs.
        policy: what is sent at all.
        stamp: as billing stamps a month: ``month_end`` or ``now``.
        clock: tells which days have passed.
    """

    def __init__(
        self,
        *,
        daily: DailyTable,
        ledger: Ledger,
        policy: SendPolicy,
        stamp: Literal["month_end", "now"],
        clock: Clock,
    ) -> None:
        self._daily = daily
        self._ledger = ledger
        self._policy = policy
        self._stamp_at = stamp
        self._clock = clock

    def customers(self, month: BillingMonth) -> list[str]:
        """Each customer with daily rows or facts in a month, by id."""
        with_facts = self._ledger.customers_stamped_between(month.start, month.end)
        return sorted({*self._daily.customers(month), *with_facts})

    def of_month(self, month: BillingMonth, customers: Iterable[str]) -> Iterator[CustomerPreview]:
        """Each of these customers' month, in their order; a stream, however many they are."""
        return worked_through(
            customers, lambda customer: self.of_customer(customer, month), threads=_THREADS
        )

    def of_customer(self, customer_id: str, month: BillingMonth) -> CustomerPreview:
        """One customer's month; a row or fact that makes no sense is named as its problem."""
        try:
            return self._of_customer(customer_id, month)
        except BillingError as error:
            return CustomerPreview(customer_id, problem=str(error))

    def _of_customer(self, customer_id: str, month: BillingMonth) -> CustomerPreview:
        rows = self._daily.month(customer_id, month)
        figures = month_figures(row.total_bytes for row in rows) if rows else None
        recorded = {row.day for row in rows}
        today = self._clock.now().date()
        item = self._ledger.find(storage_key(customer_id, str(month)))
        frozen = None if item is None else _frozen(item, figures)
        files = self._files(customer_id, month)
        return CustomerPreview(
            customer_id,
            figures=figures,
            missing=tuple(day for day in month.days if day < today and day not in recorded),
            frozen=frozen,
            files=files,
            skipped=self._policy.skips(self._stamp(month)) if frozen is None else None,
            problem=_too_large(figures) if frozen is None else None,
        )

    def _stamp(self, month: BillingMonth) -> datetime:
        return month.closing_stamp if self._stamp_at == "month_end" else self._clock.now()

    def _files(self, customer_id: str, month: BillingMonth) -> FileUsage:
        start = datetime.combine(month.first_day, time.min, tzinfo=UTC)
        runs = total = left_out = 0
        for item in self._ledger.stamped_between(customer_id, FactKind.FILE, start, month.end):
            if item.state in _BILLED:
                runs += item.fact.correction is None
                total += item.fact.value
            else:
                left_out += 1
        return FileUsage(runs, total, left_out)


def _frozen(item: LedgerItem, figures: MonthFigures | None) -> FrozenMonth:
    value = item.fact.value
    return FrozenMonth(item.state, value, figures is not None and figures.average != value)


def _too_large(figures: MonthFigures | None) -> str | None:
    if figures is None or len(str(figures.average)) <= LONGEST_VALUE_DIGITS:
        return None
    return (
        f"the average of {figures.average} bytes has more than the {LONGEST_VALUE_DIGITS} digits "
        "that Stripe takes: billing will reject it; check the daily rows"
    )
