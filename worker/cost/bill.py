"""The month's bill, item by item, with and without what is always free."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from worker.cost import prices
from worker.cost.awake import starts_a_month, task_hours
from worker.cost.workload import DAYS, MONTH, RESOLVE, RUN, SIZING, TICKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.cost.prices import Price
    from worker.cost.workload import Workload

# The compute template's smallest task.
VCPU, MEMORY_GB = Decimal("0.25"), Decimal("0.5")
ALARM_METRICS, CUSTOM_METRICS = 10, 10
# Five queues at one long poll every 20 seconds, and ten counts a minute.
_POLLS_AN_HOUR = 5 * 180 + 10 * 60
_KB = Decimal(1024)
GIB = Decimal(1024**3)
# A line as the worker logs it; two lines of metrics and a heartbeat's worth a minute.
_LOG_LINE, _LOG_HOUR, _LOG_START = Decimal(420), Decimal(60 * 900), Decimal(3 * 1024)
_LOG_MONTHS_KEPT = 3
_STRIPE_CALL = 2 * _KB
# Kept for two years: daily rows, monthly rows and runs' facts, in bytes with overhead.
_YEARS = 2
_DAILY_ROW, _MONTHLY_ROW, _LEDGER_ITEM, _HISTORY_ROW = 480, 520, 900, 600
# Layers of five images, most of them shared.
_IMAGES_GB = Decimal("0.25")
_TABLES_IN_USE = 4
_KEY_CACHE_AN_HOUR = 12
_MAILS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One item.

    Args:
        price: what a unit costs.
        quantity: units used in the month.
    """

    price: Price
    quantity: Decimal

    @property
    def full(self) -> Decimal:
        """Dollars, nothing being free."""
        return self.quantity * self.price.dollars

    @property
    def dollars(self) -> Decimal:
        """Dollars, with what is always free."""
        return max(self.quantity - self.price.free, Decimal(0)) * self.price.dollars


@dataclass(frozen=True, slots=True)
class Bill:
    """A month's bill."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """Dollars, with what is always free."""
        return sum((line.dollars for line in self.lines), Decimal(0))

    @property
    def total_full(self) -> Decimal:
        """Dollars, nothing being free."""
        return sum((line.full for line in self.lines), Decimal(0))


def bill(workload: Workload) -> Bill:
    """What a month of this costs."""
    return Bill(tuple(_lines(workload)))


def _lines(workload: Workload) -> Iterable[Line]:
    customers, runs = Decimal(workload.customers), Decimal(workload.files * DAYS)
    sized = customers * DAYS
    hours, starts = task_hours(workload), starts_a_month(workload)
    yield Line(prices.FARGATE_VCPU, hours * VCPU)
    yield Line(prices.FARGATE_MEMORY, hours * MEMORY_GB)
    yield Line(prices.PUBLIC_ADDRESS, hours)
    messages = sized + customers + runs + TICKS
    # Sent, received and deleted; only the first and the last go by tens for certain.
    yield Line(prices.SQS, hours * _POLLS_AN_HOUR + messages * Decimal("2.1"))
    resolves = Decimal(DAYS * 24)
    yield Line(
        prices.WRITES,
        sized * SIZING.writes
        + customers * MONTH.writes
        + runs * RUN.writes
        + resolves * RESOLVE.writes,
    )
    yield Line(prices.READS, _reads(workload, sized, runs, resolves))
    tables, copies = _stored(workload)
    yield Line(prices.TABLE_STORAGE, (tables + copies) / GIB)
    yield Line(prices.BACKUPS, tables / GIB)
    yield Line(
        prices.LISTS, sized * SIZING.lists + runs * RUN.lists + Decimal(workload.extra_pages * DAYS)
    )
    yield Line(prices.S3_EVENTS, Decimal(workload.bucket_writes * DAYS))
    lines = sized * SIZING.log_lines + customers * MONTH.log_lines + runs * RUN.log_lines + TICKS
    logged = (lines * _LOG_LINE + hours * _LOG_HOUR + starts * _LOG_START) / GIB
    yield Line(prices.LOGS, logged)
    yield Line(prices.LOG_STORAGE, logged * _LOG_MONTHS_KEPT)
    yield Line(prices.ALARMS, Decimal(ALARM_METRICS))
    yield Line(prices.METRICS, Decimal(CUSTOM_METRICS))
    yield Line(prices.DASHBOARDS, Decimal(1))
    yield Line(prices.SECRET, Decimal(1))
    yield Line(prices.SECRET_READS, starts)
    yield Line(prices.KEYS, hours * _TABLES_IN_USE * _KEY_CACHE_AN_HOUR + starts)
    yield Line(prices.IMAGES, _IMAGES_GB)
    calls = (
        customers * MONTH.stripe_calls + runs * RUN.stripe_calls + resolves * RESOLVE.stripe_calls
    )
    yield Line(prices.TRANSFER_OUT, calls * _STRIPE_CALL / GIB)
    yield Line(prices.MAILS, Decimal(_MAILS))


def _reads(workload: Workload, sized: Decimal, runs: Decimal, resolves: Decimal) -> Decimal:
    """Read units: half a unit for 4 KB of a scan, one where it has to be the latest."""
    per_work = workload.customers * MONTH.reads + runs * RUN.reads + resolves * RESOLVE.reads
    page = 8 * _KB
    customers = sized * 100 / page
    # The nightly sweep reads the application's history; reconciling reads the ledger for a week.
    history = DAYS * Decimal(workload.files * 365 * _YEARS * _HISTORY_ROW) / page
    facts = workload.customers * 12 * _YEARS + workload.files * 365 * _YEARS
    ledger = 7 * Decimal(facts * _LEDGER_ITEM) / page
    months_index = Decimal(workload.customers * DAYS * _DAILY_ROW) / page
    return per_work + customers + history + ledger + months_index


def usage_rows(workload: Workload) -> tuple[Decimal, Decimal]:
    """Bytes in the two usage tables after two years, and in their indexes."""
    daily = Decimal(workload.customers * 365 * _YEARS * _DAILY_ROW)
    monthly = Decimal(workload.customers * 12 * _YEARS * _MONTHLY_ROW)
    return daily + monthly, 2 * daily + monthly


def _stored(workload: Workload) -> tuple[Decimal, Decimal]:
    """Bytes in our tables after two years, and in their indexes."""
    tables, copies = usage_rows(workload)
    facts = workload.customers * 12 * _YEARS + workload.files * 365 * _YEARS
    ledger = Decimal(facts * _LEDGER_ITEM)
    return tables + ledger, copies + ledger
