"""Making a report: reading every statement of a month, and Stripe's side of it where wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.reconciliation.period import Period
from worker.report.month_report import MonthReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from producers.billing_month import BillingMonth
    from worker.clock import Clock
    from worker.price import PriceList
    from worker.reconciliation.comparison import Reconciliation
    from worker.report.method import Explanation
    from worker.statement.reader import StatementReader
    from worker.statement.statement import Statement

    Watched = Callable[[Iterable[Statement], int], Iterable[Statement]]

# Listed runs, over all customers: a page of ten thousand customers stays a few megabytes.
_RUNS_ON_A_PAGE = 20_000
_FEWEST_RUNS, _MOST_RUNS = 3, 100
_RUNS_OF_ONE = 10_000


class ReportMaker:
    """Makes reports.

    Args:
        statements: reads them.
        reconciliation: asks Stripe.
        prices: what usage costs.
        method: how each figure is computed.
        clock: the time.
    """

    def __init__(
        self,
        *,
        statements: StatementReader,
        reconciliation: Reconciliation,
        prices: PriceList,
        method: Sequence[Explanation],
        clock: Clock,
    ) -> None:
        self._statements = statements
        self._reconciliation = reconciliation
        self._prices = prices
        self._method = tuple(method)
        self._clock = clock

    def make(
        self,
        month: BillingMonth,
        only: str | None = None,
        *,
        ask_stripe: bool = False,
        watched: Watched = lambda statements, _: statements,
    ) -> MonthReport:
        """A month's report.

        Args:
            month: the month.
            only: of all customers, this one.
            ask_stripe: whether Stripe's sums and invoices are read too.
            watched: is given the stream of statements and how many will come, and passes them on:
                a progress bar.

        Raises:
            StripeUnavailable: Stripe was to be asked, and would not even say whose key this is.
            KeyUnavailable: it was to be asked, and there is no key.
        """
        made_at = self._clock.now()
        if only is None:
            of_month = self._statements.of_month(month, runs_listed=runs_for)
            customers = of_month.customers
            statements = tuple(watched(of_month.stream(customers), len(customers)))
        else:
            customers = [only]
            one = self._statements.of_customer(only, month, runs_listed=_RUNS_OF_ONE)
            statements = (one,)
        stripe = None
        if ask_stripe:
            answers = self._reconciliation.compare(Period.of(month, made_at), customers)
            stripe = dict(zip(customers, answers, strict=True))
        return MonthReport(
            month=month,
            made_at=made_at,
            prices=self._prices,
            statements=statements,
            method=self._method,
            stripe=stripe,
            only=only,
        )


def runs_for(customers: int) -> int:
    """How many runs of each of so many customers are listed."""
    return max(_FEWEST_RUNS, min(_MOST_RUNS, _RUNS_ON_A_PAGE // max(customers, 1)))
