"""Months made up for the report's tests: statements without any table behind them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from producers.billing_month import BillingMonth
from worker.ledger.fact import Fact, FactKind, StorageBasis, StripeAccount
from worker.ledger.item import LedgerItem, State
from worker.price import CURRENCIES, prices
from worker.report.method import method
from worker.report.month_report import MonthReport
from worker.settings import Settings
from worker.statement.runs import Runs, is_troubled
from worker.statement.statement import Statement
from worker.tables.daily import BillingStatus, DailyRow
from worker.usage import Usage, month_figures

OCTOBER = BillingMonth(2026, 10)
PRICES = prices(
    CURRENCIES["usd"], per_gib=Decimal("0.10"), per_file_byte=Decimal("0.00001"), exact=False
)
MADE_AT = datetime(2026, 11, 2, 3, 15, tzinfo=UTC)


def storage_item(
    customer: str, held: dict[int, int], state: State, error: str | None = None
) -> LedgerItem:
    figures = month_figures(held.values())
    return LedgerItem(
        fact=Fact(
            kind=FactKind.STORAGE,
            customer_id=customer,
            subject=str(OCTOBER),
            event_name="storage-usage",
            value=figures.average,
            stamped_at=OCTOBER.closing_stamp,
            account=StripeAccount("acct_1", livemode=False),
            origin="{}",
            basis=StorageBasis(tuple(held), figures.total, figures.peak),
        ),
        state=state,
        generation=1,
        fence=3,
        attempts=1,
        retries=0,
        created_at=OCTOBER.end + timedelta(hours=2),
        sent_at=OCTOBER.end + timedelta(hours=2, seconds=1),
        last_error=error,
    )


def run_item(customer: str, run_id: str, value: int, state: State, at: datetime) -> LedgerItem:
    item = storage_item(customer, {1: value}, state)
    fact = replace(item.fact, kind=FactKind.FILE, subject=run_id, stamped_at=at, basis=None)
    return replace(item, fact=fact, sent_at=at + timedelta(seconds=1))


def runs_of(items: list[LedgerItem]) -> Runs:
    by_state: dict[State, tuple[int, int]] = {}
    for item in items:
        count, total = by_state.get(item.state, (0, 0))
        by_state[item.state] = count + 1, total + item.fact.value
    return Runs(tuple(items), tuple(item for item in items if is_troubled(item)), by_state)


def statement(
    customer: str,
    held: dict[int, int],
    *,
    state: State | None = State.CONFIRMED,
    error: str | None = None,
    runs: tuple[LedgerItem, ...] = (),
) -> Statement:
    rows = tuple(
        DailyRow(
            OCTOBER.days[day - 1],
            size,
            BillingStatus.BILLED,
            3,
            uploaded=Usage(size - size // 3, 7),
            produced=Usage(size // 3, 2),
        )
        for day, size in held.items()
    )
    return Statement(
        customer_id=customer,
        month=OCTOBER,
        prices=PRICES,
        days=rows,
        missing=tuple(day for day in OCTOBER.days if day.day not in held),
        figures=month_figures(held.values()) if held else None,
        storage=None if state is None or not held else storage_item(customer, held, state, error),
        runs=runs_of(list(runs)),
    )


def month_report(*statements: Statement, only: str | None = None) -> MonthReport:
    return MonthReport(
        month=OCTOBER,
        made_at=MADE_AT,
        prices=PRICES,
        statements=tuple(sorted(statements, key=lambda one: one.customer_id)),
        method=method(Settings(), PRICES),
        only=only,
    )


def large_month(customers: int, seed: int) -> MonthReport:
    """A month of many customers, as a busy service would have them."""
    chance = random.Random(seed)  # noqa: S311 - figures, not secrets
    statements = []
    for number in range(customers):
        base = int(chance.lognormvariate(24, 2.5))
        held: dict[int, int] = {}
        for day in range(1, 32):
            base += int(base * chance.uniform(-0.02, 0.05))
            if chance.random() > 0.002:
                held[day] = base
        customer = f"cus_{number:05}{chance.randrange(16**8):08x}"
        runs = tuple(
            run_item(
                customer,
                f"run-{number}-{index}",
                chance.randrange(10_000_000),
                State.CONFIRMED,
                OCTOBER.start + timedelta(minutes=chance.randrange(44_000)),
            )
            for index in range(chance.choice((0, 0, 1, 3)))
        )
        refused = chance.random() < 0.002
        statements.append(
            statement(
                customer,
                held,
                state=State.REFUSED if refused else State.CONFIRMED,
                error="meter_event_customer_not_found: no such customer" if refused else None,
                runs=runs,
            )
        )
    return month_report(*statements)
