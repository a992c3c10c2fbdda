"""The jobs that schedules and operators start: each fans out messages and ends."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from producers.billing_month import BillingMonth
from producers.fan_out import FanOutCount
from worker.errors import BillingError
from worker.expected import month_to_watch
from worker.lagging_rows import ask_again
from worker.ledger.fact import FactKind
from worker.ledger.item import OPEN
from worker.ledger.rules import Settled, next_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime

    from producers.fan_out import FanOut
    from worker.clock import Clock
    from worker.examination import Examination
    from worker.expected import ExpectedFacts
    from worker.ledger.cursor import Cursors
    from worker.ledger.item import LedgerItem
    from worker.ledger.store import Ledger
    from worker.stripe_api.error_reports import ErrorReports
    from worker.sweep import Sweep
    from worker.tables.daily import DailyTable

_log = structlog.get_logger()
_CHUNK = 1000
_EXAMPLES = 20
_LONGEST_CONFIRMING_SECONDS = 600.0
_REPORTS = "error-reports"
_REPORTS_KEPT = timedelta(days=30)
# Reports are made of what happened before; an hour again costs little and misses nothing.
_REPORTS_OVERLAP = timedelta(hours=1)


@dataclass(slots=True)
class Resolved:
    """What ``resolve`` came to.

    Args:
        enqueued: facts asked for again.
        unconfirmed: facts that were sent and wait for Stripe's summaries.
        confirmed: of these, shown by the summaries now.
        missing: customers whose month should have a fact by now, and has none.
        reports: error reports put on their queue.
        unbilled: of the facts that wait, those of the month that ended last and should be billed.
        watches: whether that month is being watched; else ``missing`` and ``unbilled`` are 0.
        oldest_due: since when the fact has been due that waits longest, UTC.
        problems: why Stripe could not be asked, where it could not.
    """

    enqueued: int = 0
    unconfirmed: int = 0
    confirmed: int = 0
    missing: int = 0
    reports: int = 0
    unbilled: int = 0
    watches: bool = False
    oldest_due: datetime | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """In one line, for the log."""
        return (
            f"{self.enqueued} facts asked for again, {self.confirmed} of {self.unconfirmed} sent "
            f"ones confirmed, {self.reports} reports of refusals, {self.missing} facts missing"
        )


class Jobs:
    """What a tick, or `enqueue` and `resolve` by hand, set going.

    Args:
        fan_out: puts messages on queues, or only counts them.
        customers: every customer's id.
        daily: knows which customers have rows in a month.
        ledger: knows what waits.
        cursors: remember how far Stripe's reports were read.
        sweep: finds completed runs that no fact bills.
        expected: says which facts should be there.
        examination: asks Stripe's summaries.
        reports: Stripe's reports of what it did not count.
        clock: the time.
    """

    def __init__(
        self,
        *,
        fan_out: FanOut,
        customers: Callable[[], Iterable[str]],
        daily: DailyTable,
        ledger: Ledger,
        cursors: Cursors,
        sweep: Sweep,
        expected: ExpectedFacts,
        examination: Examination,
        reports: ErrorReports,
        clock: Clock,
    ) -> None:
        self._fan_out = fan_out
        self._customers = customers
        self._daily = daily
        self._ledger = ledger
        self._cursors = cursors
        self._sweep = sweep
        self._expected = expected
        self._examination = examination
        self._reports = reports
        self._clock = clock

    def daily(self, day: date, only: str | None = None) -> FanOutCount:
        """Enqueue the sizing of every customer, or of one, for a day (UTC)."""
        return self._fan_out.daily(self._customers() if only is None else (only,), day)

    def monthly(self, month: BillingMonth, only: str | None = None) -> FanOutCount:
        """Enqueue the billing of every customer with rows in a month, or of one."""
        customers = self._daily.customers(month) if only is None else (only,)
        return self._fan_out.monthly(customers, month)

    def leave(self, customer_id: str, through: date) -> FanOutCount:
        """Enqueue the last billing of a customer who leaves, up to their last day (UTC)."""
        return self._fan_out.monthly((customer_id,), BillingMonth.of(through), through)

    def bill(self, month: BillingMonth, customers: Iterable[str]) -> FanOutCount:
        """Enqueue the billing of a month for those customers."""
        return self._fan_out.monthly(customers, month)

    def resolve(self, due_by: datetime | None) -> Resolved:
        """Ask again for the facts that wait (those due by an instant, or all), and ask Stripe.

        Reports of refusals come before the summaries: they tell more than a sum. The summaries are
        asked for ten minutes at most, and no more once Stripe fails; what is left stays due. In a
        dry run nothing is asked and nothing is sent.
        """
        now = self._clock.now()
        resolved = Resolved()
        asks = self._fan_out.sends
        if asks:
            with self._tolerating(resolved):
                resolved.reports = self.fetch_reports()
        until = self._clock.monotonic() + _LONGEST_CONFIRMING_SECONDS
        month = month_to_watch(now)
        waits = self._ledger.waiting(due_by)
        while chunk := list(itertools.islice(waits, _CHUNK)):
            sent = [item for item in chunk if isinstance(next_step(item, now), Settled)]
            _note_waits(resolved, chunk, month)
            resolved.unconfirmed += len(sent)
            resolved.enqueued += self.ask_again(
                [item for item in chunk if not isinstance(next_step(item, now), Settled)]
            )
            if asks and sent and self._clock.monotonic() < until:
                asks = False
                with self._tolerating(resolved):
                    resolved.confirmed += self._examination.confirm(sent).confirmed
                    asks = True
        if month is not None:
            resolved.watches = True
            resolved.missing = self._missing(month)
        return resolved

    def _missing(self, month: BillingMonth) -> int:
        """Count the customers whose month should have a fact by now, and say who they are."""
        customers = self._expected.missing(month)
        examples = list(itertools.islice(customers, _EXAMPLES))
        missing = len(examples) + sum(1 for _ in customers)
        if missing:
            _log.error(
                "customers with rows in an ended month have no billing fact; "
                "run `enqueue monthly --month` and look at the dead letters",
                action="facts_missing",
                month=str(month),
                customers=missing,
                examples=examples,
            )
        return missing

    def ask_again(self, items: Sequence[LedgerItem]) -> int:
        """Enqueue the messages that facts came from; returns how many."""
        return ask_again(self._fan_out, items)

    @contextmanager
    def _tolerating(self, resolved: Resolved) -> Iterator[None]:
        """Let one question to Stripe fail without the others; the next tick asks again."""
        try:
            yield
        except BillingError as error:
            _log.warning("Stripe could not be asked", action="resolve_incomplete", error=str(error))
            resolved.problems.append(str(error))

    def fetch_reports(self) -> int:
        """Enqueue Stripe's reports of refusals since the last time; returns how many.

        Raises:
            StripeUnavailable: Stripe did not list them all; nothing is remembered as fetched.
        """
        now = self._clock.now()
        cursor = self._cursors.read(_REPORTS)
        since = now - _REPORTS_KEPT if cursor is None else cursor - _REPORTS_OVERLAP
        # Stripe lists the newest first; the cursor moves only when all of them are on the queue.
        sent = self._fan_out.stripe_events(report.id for report in self._reports.since(since)).sent
        self._cursors.move(_REPORTS, now)
        return sent

    def sweep(self, since: datetime) -> FanOutCount:
        """Enqueue the runs that completed since an instant and that no fact bills."""
        refused = FanOutCount()
        count = self._fan_out.completions(self._sweep.unbilled(since, refused.refuse))
        return replace(count, refused=refused.refused, examples=refused.examples)


def _note_waits(
    resolved: Resolved, items: Sequence[LedgerItem], month: BillingMonth | None
) -> None:
    """Note how long open facts have been due, and which are the ended month's."""
    for item in items:
        if item.state not in OPEN:
            continue
        if item.fact.kind is FactKind.STORAGE and item.fact.subject == str(month):
            resolved.unbilled += 1
        due = item.next_attempt_at
        if due is not None and (resolved.oldest_due is None or due < resolved.oldest_due):
            resolved.oldest_due = due
