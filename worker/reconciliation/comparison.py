"""The comparison: each customer and meter, ledger against summaries and invoices."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import ClientError

from producers.identity import check_customer_id
from producers.outbox import EnqueueFailed
from worker.crew import worked_through
from worker.denied import is_denied
from worker.errors import BillingError
from worker.examination import Examination
from worker.ledger.item import OPEN, STUCK, LedgerItem, State
from worker.ledger.presence import all_counted
from worker.ledger.rules import Overdue, Settled, invoiced, next_step
from worker.ledger.store import LostRace
from worker.reconciliation.inquiry import InquiredSummaries, Inquiry
from worker.reconciliation.invoicing import Invoicing
from worker.reconciliation.line import Line, sent_lately

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from producers.billing_month import BillingMonth
    from worker.clock import Clock
    from worker.expected import ExpectedFacts
    from worker.lagging_rows import LaggingRows
    from worker.ledger.fact import FactKind, StripeAccount
    from worker.ledger.store import Ledger
    from worker.reconciliation.bill import Bill
    from worker.reconciliation.period import Period
    from worker.stripe_api.invoices import UsageLines
    from worker.stripe_api.subscriptions import Subscriptions
    from worker.stripe_api.summaries import Summaries
    from worker.tables.daily import DailyTable

_log = structlog.get_logger()
_THREADS = 4


class Reconciliation:
    """Compares a period of the ledger with what Stripe counted and with what it bills.

    What agrees is written down: sent facts that the summaries show become confirmed, and confirmed
    ones that stand on a final invoice invoiced. Nothing else is moved, and nothing is sent.

    Args:
        ledger: the facts.
        summaries: what Stripe counted.
        invoices: what it bills.
        subscriptions: what it would bill.
        account: whose key is in use.
        customers: the ids of all customers, by the source that the settings name.
        daily: knows the customers with rows in a month.
        expected: says which facts should be there.
        lagging: asks again for facts whose rows do not say that they count.
        event_names: the meters' event names by kind of fact.
        clock: the time.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        summaries: Summaries,
        invoices: UsageLines,
        subscriptions: Subscriptions,
        account: Callable[[], StripeAccount],
        customers: Callable[[], Iterable[str]],
        daily: DailyTable,
        expected: ExpectedFacts,
        lagging: LaggingRows,
        event_names: Mapping[FactKind, str],
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._summaries = summaries
        self._invoices = invoices
        self._subscriptions = subscriptions
        self._account = account
        self._customers = customers
        self._daily = daily
        self._expected = expected
        self._lagging = lagging
        self._event_names = event_names
        self._clock = clock

    def customers(self, month: BillingMonth) -> list[str]:
        """Every customer of the source, and with rows or facts in the month, by id.

        An id that can be nobody's has no facts, and is left out.
        """
        facts = self._ledger.rows_stamped_between(month.start, month.end, "customerId")
        found = {
            *self._customers(),
            *self._daily.customers(month),
            *(fact["customerId"]["S"] for fact in facts),
        }
        return sorted(customer for customer in found if _can_exist(customer))

    def missing(self, month: BillingMonth, only: str | None = None) -> tuple[str, ...]:
        """The customers with rows in a month and no fact for it; none while the month runs.

        Args:
            month: the month.
            only: of all customers, this one.
        """
        if self._clock.now() < month.end:
            return ()
        missing = sorted(filter(_can_exist, self._expected.missing(month)))
        return tuple(customer for customer in missing if only in {None, customer})

    def compare(self, period: Period, customers: Iterable[str]) -> Iterator[Sequence[Line]]:
        """Each customer's lines, in their order: one per meter; a stream.

        Raises:
            StripeUnavailable: Stripe would not even say whose key this is.
            KeyUnavailable: there is no key.
        """
        run = _Run(
            ledger=self._ledger,
            summaries=self._summaries,
            invoices=self._invoices,
            subscriptions=self._subscriptions,
            account=self._account(),
            lagging=self._lagging,
            event_names=self._event_names,
            clock=self._clock,
            period=period,
        )
        return worked_through(customers, run.compare, threads=_THREADS)


class _Run:
    """One comparison under way."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        summaries: Summaries,
        invoices: UsageLines,
        subscriptions: Subscriptions,
        account: StripeAccount,
        lagging: LaggingRows,
        event_names: Mapping[FactKind, str],
        clock: Clock,
        period: Period,
    ) -> None:
        inquiry = Inquiry(clock)
        self._ledger = ledger
        self._summaries = InquiredSummaries(inquiry, summaries)
        self._examination = Examination(
            ledger=ledger,
            summaries=self._summaries,
            account=lambda: account,
            lagging=lagging,
            clock=clock,
        )
        self._invoicing = Invoicing(
            invoices=invoices, subscriptions=subscriptions, inquiry=inquiry, clock=clock
        )
        self._account = account
        self._event_names = event_names
        self._clock = clock
        self._period = period
        self._may_only_read = False

    def compare(self, customer_id: str) -> list[Line]:
        lines = []
        kinds: dict[str, FactKind] = {}
        for kind, event_name in self._event_names.items():
            for line, facts in self._counted_lines(customer_id, kind, event_name):
                kinds[line.event_name] = kind
                lines.append(self._confirm(line, facts))
        if any(line.ledger_bytes for line in lines):
            return self._with_bills(customer_id, lines, kinds)
        return lines

    def _counted_lines(
        self, customer_id: str, kind: FactKind, event_name: str
    ) -> Iterator[tuple[Line, list[LedgerItem]]]:
        """The lines of one kind and the facts behind them; one line for each event name.

        An earlier setting's event name may be among them.
        """
        # Stripe first: what is sent in between then shows as recent, never as unheard of.
        answers = {event_name: self._ask(event_name, customer_id)}
        facts: dict[str, list[LedgerItem]] = defaultdict(list, {event_name: []})
        period = self._period
        for item in self._ledger.stamped_between(customer_id, kind, period.start, period.end):
            facts[item.fact.event_name].append(item)
        for name, items in facts.items():
            shown, problem = answers.get(name) or self._ask(name, customer_id)
            ours = [item for item in items if not item.fact.account.contradicts(self._account)]
            line = Line(
                customer_id,
                name,
                stripe_bytes=shown,
                other_account=len(items) - len(ours),
                problem=problem,
            )
            yield self._line(line, ours), ours

    def _line(self, line: Line, ours: Sequence[LedgerItem]) -> Line:
        counted = [item for item in ours if item.counted]
        now = self._clock.now()
        return replace(
            line,
            facts=len(counted),
            ledger_bytes=sum(item.fact.value for item in counted),
            waiting=tuple(item for item in ours if item.state in OPEN | STUCK),
            overdue=tuple(item for item in counted if isinstance(next_step(item, now), Overdue)),
            recent=sum(1 for item in counted if sent_lately(item, now)),
        )

    def _ask(self, event_name: str, customer_id: str) -> tuple[int | None, str | None]:
        """Stripe's sum, or why there is none."""
        try:
            counted = self._summaries.counted(
                event_name, customer_id, self._period.start, self._period.end
            )
        except BillingError as error:
            return None, str(error)
        return counted, None

    def _confirm(self, line: Line, facts: Sequence[LedgerItem]) -> Line:
        """Confirm the sent facts of a line that agrees, by the rule of the hourly tick."""
        now = self._clock.now()
        if line.stripe_bytes is None or not line.agrees:
            return line
        # An overdue fact that the summaries do not show is a person's, and its own message's
        # handler sees to that. So it is taken along only where the sum leaves no doubt.
        certain = all_counted([item for item in facts if item.fact.value > 0], line.stripe_bytes)
        sent = [
            item
            for item in facts
            if item.state is State.SENT and (certain or isinstance(next_step(item, now), Settled))
        ]
        if not sent or self._may_only_read:
            return line
        try:
            return replace(line, confirmed=self._examination.confirm(sent).confirmed)
        except ClientError as error:
            self._leave_unwritten(error)
            return line
        except (BillingError, EnqueueFailed) as error:
            _log.warning(
                "facts could not be confirmed; the hourly tick asks again",
                action="reconcile_unconfirmed",
                customer=line.customer_id,
                error=str(error),
            )
            return line

    def _with_bills(
        self, customer_id: str, lines: Iterable[Line], kinds: Mapping[str, FactKind]
    ) -> list[Line]:
        examined = self._invoicing.examine(
            customer_id,
            self._period,
            {name: self._counted_facts(customer_id, kind, name) for name, kind in kinds.items()},
        )
        complete = []
        for line in lines:
            found = examined.by_meter.get(line.event_name)
            complete.append(
                replace(
                    line,
                    bills=tuple(bill.figures for bill in found.bills) if found else (),
                    findings=found.findings if found else (),
                    invoiced=self._mark(found.bills) if found else 0,
                    not_compared=examined.not_compared,
                    problem=line.problem or examined.problem,
                )
            )
        return complete

    def _counted_facts(
        self, customer_id: str, kind: FactKind, event_name: str
    ) -> Callable[[datetime, datetime], list[LedgerItem]]:
        def between(start: datetime, end: datetime) -> list[LedgerItem]:
            return [
                item
                for item in self._ledger.stamped_between(customer_id, kind, start, end)
                if item.counted
                and item.fact.event_name == event_name
                and not item.fact.account.contradicts(self._account)
            ]

        # Mostly an invoice is over just the period that is compared.
        return cache(between)

    def _mark(self, bills: Iterable[Bill]) -> int:
        marked = 0
        for bill in () if self._may_only_read else bills:
            for item in bill.invoiced():
                try:
                    self._ledger.decide(item, invoiced(item))
                except LostRace:
                    # It moved since the index showed it; the next run looks again.
                    continue
                except ClientError as error:
                    self._leave_unwritten(error)
                    return marked
                marked += 1
        return marked

    def _leave_unwritten(self, error: ClientError) -> None:
        """Whoever may only read compares all the same; the worker writes down what agrees."""
        if not is_denied(error):
            raise error
        if not self._may_only_read:
            self._may_only_read = True
            _log.warning(
                "what agrees is not written down: that is denied to these credentials, and the "
                "worker's own comparison will",
                action="reconcile_read_only",
                error=str(error),
            )


def _can_exist(customer_id: str) -> bool:
    try:
        check_customer_id(customer_id)
    except ValueError:
        return False
    return True
