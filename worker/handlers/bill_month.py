"""Monthly billing: the month's average, as one billing fact per customer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import structlog

from producers.billing_month import closing_stamp_of
from worker.errors import Permanent
from worker.ledger.fact import Fact, FactKind, StorageBasis, storage_key
from worker.month_rows import basis_of
from worker.outcome import Outcome, Retry
from worker.tables.daily import BillingStatus
from worker.usage import month_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producers.billing_month import BillingMonth
    from producers.messages import BillCustomerMonth
    from worker.clock import Clock
    from worker.ledger.item import LedgerItem
    from worker.month_rows import MonthRows
    from worker.settlement import Settlement
    from worker.tables.daily import DailyRow, DailyTable
    from worker.tables.monthly import MonthlyTable

_log = structlog.get_logger()
_CLOCKS_AGREE_WITHIN = timedelta(hours=1)


class MonthNotOver(Permanent):
    """The month to be billed is still running, or has not begun."""


class NoDailyRows(Permanent):
    """The customer has no daily row in that month: there is nothing to average."""


class BilledElsewhere(Permanent):
    """The monthly row says billed, but the ledger knows nothing of it."""


class BillMonthHandler:
    """Bills the average of a customer's month.

    Args:
        settlement: freezes and sends.
        daily: the rows that are averaged.
        monthly: the row that says what came of it.
        month_rows: lets both follow the ledger.
        clock: the time.
        event_name: the storage meter's.
        stamp: ``month_end`` stamps 23:59:00Z of the last day, ``now`` the time of freezing.
        average_over: the days that the sum is divided by: those ``recorded``, or all of the
            ``calendar``, of a customer who leaves those up to the last one.
        grace: how long Stripe keeps the month's invoice a draft after the month's end.
    """

    def __init__(
        self,
        *,
        settlement: Settlement,
        daily: DailyTable,
        monthly: MonthlyTable,
        month_rows: MonthRows,
        clock: Clock,
        event_name: str,
        stamp: Literal["month_end", "now"],
        average_over: Literal["recorded", "calendar"],
        grace: timedelta,
    ) -> None:
        self._settlement = settlement
        self._daily = daily
        self._monthly = monthly
        self._month_rows = month_rows
        self._clock = clock
        self._event_name = event_name
        self._stamp = stamp
        self._average_over = average_over
        self._grace = grace

    def handle(self, message: BillCustomerMonth) -> Outcome:
        """Bill once, however often the message comes.

        Raises:
            MonthNotOver: the month, or the customer's last day, is still to come.
            NoDailyRows: there is nothing to bill and never was.
            BilledElsewhere: the ledger was lost, or another system billed the month.
            MalformedRow: a daily row makes no sense; nothing was sent.
        """
        month = message.month
        if message.through is None:
            early = month.end - self._clock.now()
            if early > _CLOCKS_AGREE_WITHIN:
                raise MonthNotOver(
                    f"{month} has not ended; it can be billed from {month.end:%Y-%m-%d} 00:00 UTC "
                    "on, or with `--through` for a customer who leaves"
                )
            if early > timedelta(0):
                return Retry("the month ends within the hour", early.total_seconds(), limited=False)
        elif message.through > self._clock.now().date():
            raise MonthNotOver(f"{message.through} has not begun; bill through a day that has")
        rows = self._daily.month(message.customer_id, month)
        item = self._settlement.find(storage_key(message.customer_id, str(month)))
        if item is None:
            item = self._settlement.freeze(self._fact(message, rows))
        _report_difference(item, [row for row in rows if row.day <= item.fact.stamped_at.date()])
        if not item.counted:
            self._warn_if_late(item, month)
        item = self._settlement.settle(item)
        self._month_rows.follow(item, month, rows)
        return self._settlement.outcome_of(item)

    def _fact(self, message: BillCustomerMonth, rows: Sequence[DailyRow]) -> Fact:
        month, customer, through = message.month, message.customer_id, message.through
        stamped_at = month.closing_stamp if self._stamp == "month_end" else self._clock.now()
        if through is not None:
            # Inside the subscription of a customer who leaves, if need be before the day is over.
            stamped_at = min(closing_stamp_of(through), self._clock.now())
            rows = [row for row in rows if row.day <= through]
        if not rows:
            raise NoDailyRows(
                f"{customer} has no daily row in {month}"
                f"{'' if through is None else f' up to {through}'}; check the customer id, or "
                "enqueue the days with `enqueue daily --date`"
            )
        standing = self._monthly.standing(customer, month)
        billed = standing is not None and standing.billing_status == BillingStatus.BILLED
        trusted = self._settlement.trusts_rows(stamped_at)
        if standing is not None and billed and trusted:
            raise BilledElsewhere(
                f"the monthly row of {customer} {month} says billed (event "
                f"{standing.event_id or 'unknown'}), but the ledger has no such fact; restore the "
                "ledger, or set the row's billingStatus to pending if Stripe never got it, then "
                "replay"
            )
        followed = [row.day.isoformat() for row in rows if row.ledger_fence is not None]
        if followed and trusted:
            raise BilledElsewhere(
                f"daily rows of {customer} {month} follow a ledger item that is not there "
                f"({', '.join(followed[:3])}, ...); restore the ledger, then replay"
            )
        whole = (through or month.last_day).day if self._average_over == "calendar" else None
        figures = month_figures((row.total_bytes for row in rows), whole)
        return Fact(
            kind=FactKind.STORAGE,
            customer_id=customer,
            subject=str(month),
            event_name=self._event_name,
            value=figures.average,
            stamped_at=stamped_at.replace(microsecond=0),
            account=self._settlement.account(),
            origin=message.body(),
            basis=StorageBasis(
                days=tuple(row.day.day for row in rows),
                total_bytes=figures.total,
                peak_bytes=figures.peak,
                calendar_days=figures.calendar_days,
            ),
        )

    def _warn_if_late(self, item: LedgerItem, month: BillingMonth) -> None:
        final_from = month.end + self._grace
        if item.fact.stamped_at == month.closing_stamp and self._clock.now() >= final_from:
            _log.warning(
                "meter event comes after the invoice's grace period",
                action="send_after_grace",
                customer=item.fact.customer_id,
                month=str(month),
                invoice_final_from=final_from.isoformat(),
                remedy="set the invoice grace period to 72 hours in Stripe's billing settings and "
                "SIFTBEAM_STRIPE_GRACE_HOURS=72, or schedule monthly billing at 00:05",
            )


def _report_difference(item: LedgerItem, rows: Sequence[DailyRow]) -> None:
    """Say when the rows would give another value now than the one that was frozen."""
    if not rows:
        return
    # By the frozen policy, whatever the settings say now.
    frozen = basis_of(item)
    value = month_figures((row.total_bytes for row in rows), frozen.calendar_days).average
    if value != item.fact.value:
        _log.warning(
            "the rows give another average now; the frozen one stands",
            action="value_differs",
            fact=item.fact.key,
            frozen=item.fact.value,
            now=value,
            frozen_days=len(frozen.days),
            rows=len(rows),
        )
