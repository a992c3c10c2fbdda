"""The watch: the daily reconciliation, for the logs and the alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from producers.billing_month import BillingMonth
from worker.metrics import Metric
from worker.reconciliation.period import Period
from worker.reconciliation.report import Report
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from worker.clock import Clock
    from worker.metrics import Metrics
    from worker.reconciliation.comparison import Reconciliation

_log = structlog.get_logger()
# Invoices are final 72 hours after a month's end at the latest
# (https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period), and what the
# summaries do not show within 48 hours is a person's. After a week nothing changes by itself.
LAST_DAY = 7
_NAMED = 20


class Watch:
    """Reconciles the last month on each of the first days of the next.

    Args:
        reconciliation: compares.
        metrics: counts for the alarm.
        clock: the time.
    """

    def __init__(self, *, reconciliation: Reconciliation, metrics: Metrics, clock: Clock) -> None:
        self._reconciliation = reconciliation
        self._metrics = metrics
        self._clock = clock

    def run(self, at: datetime) -> str:
        """Reconcile the month that ended before a tick, say what differs, and count it.

        Returns:
            What came of it, in a line. A Stripe that is down is part of that, not an error.
        """
        month = BillingMonth.ended_before(at)
        if (at - month.end).days >= LAST_DAY:
            return f"{month} was watched for {LAST_DAY} days; `reconcile --month` compares it again"
        try:
            report = self._compare(month)
        except (StripeUnavailable, KeyUnavailable) as error:
            _log.warning(
                "nothing could be compared; the next day tries again",
                action="reconcile_incomplete",
                month=str(month),
                error=str(error),
            )
            return f"{month} was not compared: {error}"
        return self._tell(report)

    def _compare(self, month: BillingMonth) -> Report:
        period = Period.of(month, self._clock.now())
        customers = self._reconciliation.customers(month)
        found = self._reconciliation.compare(period, customers)
        lines = tuple(line for lines in found for line in lines)
        return Report(month, period, lines, self._reconciliation.missing(month))

    def _tell(self, report: Report) -> str:
        differing = [line for line in report.differing if not line.may_settle]
        differences = len(differing) + len(report.missing)
        settling = len(report.differing) - len(differing)
        for number, difference in enumerate(_named(report)):
            if number == _NAMED:
                break
            _log.error(
                "ledger and Stripe differ",
                action="reconcile_difference",
                month=str(report.month),
                **difference,
            )
        for reason in report.not_compared:
            _log.warning("not compared", action="reconcile_not_compared", reason=reason)
        if report.unanswered:
            _log.warning(
                "Stripe did not answer everything; the next day asks again",
                action="reconcile_incomplete",
                month=str(report.month),
                unanswered=report.unanswered,
                reasons=report.problems[:_NAMED],
            )
        self._metrics.count(
            {Metric.RECONCILE_DIFFERENCE: differences, Metric.RECONCILE_AGREED: report.agreeing}
        )
        return (
            f"{report.month}: {report.agreeing} customer meters agree, {differences} differ, "
            f"{settling} may yet settle, {report.unanswered} unanswered"
        )


def _named(report: Report) -> Iterator[dict[str, str | int | None]]:
    for customer in report.missing:
        yield {"customer": customer, "reason": "daily rows and no billing fact"}
    for line in report.differing:
        if line.may_settle:
            continue
        reasons = [finding.text for finding in line.findings if finding.differs]
        yield {
            "customer": line.customer_id,
            "meter": line.event_name,
            "ledger_bytes": line.ledger_bytes,
            "stripe_bytes": line.stripe_bytes,
            "reason": "; ".join(reasons) or "the summaries have another sum",
        }
