"""The forecast: what a worker would do with a letter now. Reads only, and never asks Stripe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from producers.identity import check_customer_id, check_run_id
from producers.instant import format_instant
from producers.messages import (
    BillCustomerMonth,
    FileProcessed,
    Message,
    SettleFact,
    SizeCustomer,
    StripeEvent,
    Tick,
)
from worker.errors import Permanent
from worker.ledger.codec import decode_item
from worker.ledger.fact import file_key, storage_key
from worker.ledger.item import COUNTED, STUCK, LedgerItem, State
from worker.ledger.rules import Busy, Overdue, next_step
from worker.prefixes import is_file
from worker.tables.daily import BillingStatus
from worker.tables.history import COMPLETED, ENDED_UNBILLED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import ThreadPoolExecutor

    from worker.clock import Clock
    from worker.dead_letters.subject import Subject
    from worker.ledger.store import Ledger
    from worker.listing.listing import Listing
    from worker.prefixes import Prefixes, RunOutput
    from worker.tables.attributes import ReadAttributes
    from worker.tables.daily import DailyTable
    from worker.tables.history import HistoryTable
    from worker.tables.monthly import MonthlyTable

# https://docs.stripe.com/api/billing/meter-event/create
OLDEST_STAMP = timedelta(days=35)


class Verdict(StrEnum):
    """What a replay would come to."""

    WOULD_BILL = "would_bill"
    WOULD_RUN = "would_run"
    WOULD_WAIT = "would_wait"
    ALREADY_BILLED = "already_billed"
    NOT_BILLED = "not_billed"
    STUCK = "stuck"
    TOO_OLD = "too_old"
    WOULD_FAIL = "would_fail"
    UNREADABLE = "unreadable"


HOPELESS = frozenset({Verdict.STUCK, Verdict.TOO_OLD, Verdict.WOULD_FAIL, Verdict.UNREADABLE})


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a replay would come to now.

    Args:
        verdict: to count by.
        text: one line for a person.
        item: the ledger's item of the fact, where the letter names one fact and there is one.
    """

    verdict: Verdict
    text: str
    item: LedgerItem | None = None

    @property
    def hopeless(self) -> bool:
        """Whether the letter would only come back."""
        return self.verdict in HOPELESS


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the ledger and the history hold of many letters, as stored, read in bulk."""

    facts: dict[str, ReadAttributes]
    runs: dict[str, ReadAttributes]

    def item(self, key: str) -> LedgerItem | None:
        row = self.facts.get(key)
        return None if row is None else decode_item(row)


class Forecaster:
    """Looks at what the handlers would look at.

    Args:
        ledger: where facts stand.
        daily: the rows a month is averaged from.
        monthly: says what was billed elsewhere.
        history: the application's runs.
        listing: sums up a run's input.
        prefixes: where it lies.
        clock: the time.
        bucket: the bucket whose events are billed.
        stamp: how a month's event is stamped.
        bill_from: facts before it are skipped.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        daily: DailyTable,
        monthly: MonthlyTable,
        history: HistoryTable,
        listing: Listing,
        prefixes: Prefixes,
        clock: Clock,
        bucket: str,
        stamp: Literal["month_end", "now"],
        bill_from: datetime | None,
    ) -> None:
        self._ledger = ledger
        self._daily = daily
        self._monthly = monthly
        self._history = history
        self._listing = listing
        self._prefixes = prefixes
        self._clock = clock
        self._bucket = bucket
        self._stamp = stamp
        self._bill_from = bill_from

    def of(self, subject: Subject) -> Forecast:
        """What a worker would do with a letter about ``subject``.

        Raises:
            botocore.exceptions.ClientError: a table or the bucket cannot be read.
        """
        return self._of(subject, self._read([subject]))

    def of_all(self, subjects: Sequence[Subject], pool: ThreadPoolExecutor) -> list[Forecast]:
        """The forecasts of many letters: their facts and runs are read a hundred a call.

        Raises:
            botocore.exceptions.ClientError: a table or the bucket cannot be read.
        """
        rows = self._read(subjects)
        return list(pool.map(lambda each: self._of(each, rows), subjects))

    def _read(self, subjects: Sequence[Subject]) -> _Rows:
        months, runs = [], []
        for subject in subjects:
            match subject.messages:
                case (BillCustomerMonth() as month,):
                    months.append(storage_key(month.customer_id, str(month.month)))
                case (FileProcessed() as file,):
                    runs += self._possible_run(file)
        facts = self._ledger.rows([*months, *map(file_key, runs)])
        new = [run for run in runs if file_key(run) not in facts]
        return _Rows(facts, self._history.rows(new))

    def _possible_run(self, file: FileProcessed) -> list[str]:
        output = self._prefixes.output(file.key)
        try:
            return [] if output is None else [check_run_id(output.run_id)]
        except ValueError:
            return []

    def _of(self, subject: Subject, rows: _Rows) -> Forecast:
        if subject.problem is not None:
            return Forecast(Verdict.UNREADABLE, f"no worker can read it: {subject.problem}")
        if len(subject.messages) > 1:
            return Forecast(
                Verdict.WOULD_RUN,
                f"{len(subject.messages)} records would each get a message of their own",
            )
        if not subject.messages:
            return Forecast(Verdict.NOT_BILLED, "would be ignored: an event that asks for nothing")
        try:
            return self._message(subject.messages[0], rows)
        except Permanent as error:
            return Forecast(Verdict.WOULD_FAIL, f"would fail: {error}")

    def _message(self, message: Message, rows: _Rows) -> Forecast:
        match message:
            case SizeCustomer():
                return self._sizing(message)
            case BillCustomerMonth():
                return self._month(message, rows)
            case FileProcessed():
                return self._file(message, rows)
            case SettleFact():
                return self._fact(message)
            case Tick():
                return Forecast(
                    Verdict.WOULD_RUN,
                    f"would run {message.job} for {format_instant(message.scheduled_time)}",
                )
            case StripeEvent():
                return Forecast(
                    Verdict.WOULD_RUN, f"would ask Stripe what event {message.event_id} reports"
                )

    def _fact(self, message: SettleFact) -> Forecast:
        item = self._ledger.find(message.fact)
        if item is None:
            return Forecast(
                Verdict.WOULD_FAIL, f"would fail: the ledger has no correction {message.fact}"
            )
        return _standing(item, self._clock.now())

    def _sizing(self, message: SizeCustomer) -> Forecast:
        if message.date > self._clock.now().astimezone(UTC).date():
            return Forecast(Verdict.WOULD_FAIL, f"would fail: {message.date} has not begun")
        return Forecast(
            Verdict.WOULD_RUN,
            f"would measure now and write it as the row of {message.date}, if that is not billed",
        )

    def _month(self, message: BillCustomerMonth, rows: _Rows) -> Forecast:
        month, customer, now = message.month, message.customer_id, self._clock.now()
        item = rows.item(storage_key(customer, str(month)))
        if item is not None:
            return _standing(item, now)
        if month.end > now and message.through is None:
            return Forecast(Verdict.WOULD_FAIL, f"would fail: {month} has not ended")
        if not self._daily.month(customer, month):
            return Forecast(
                Verdict.WOULD_FAIL, f"would fail: {customer} has no daily row in {month}"
            )
        standing = self._monthly.standing(customer, month)
        if standing is not None and standing.billing_status == BillingStatus.BILLED:
            return Forecast(
                Verdict.WOULD_FAIL,
                "would fail: the monthly row says billed, and the ledger has no such fact",
            )
        stamped_at = month.closing_stamp if self._stamp == "month_end" else now
        return self._new(stamped_at, f"the average of {month}")

    def _file(self, message: FileProcessed, rows: _Rows) -> Forecast:
        output = self._prefixes.output(message.key)
        if message.bucket != self._bucket or output is None:
            return Forecast(Verdict.NOT_BILLED, "would be ignored: not an output of a run")
        try:
            check_customer_id(output.customer_id)
            check_run_id(output.run_id)
        except ValueError as error:
            return Forecast(Verdict.WOULD_FAIL, f"would fail: {error}")
        now = self._clock.now()
        item = rows.item(file_key(output.run_id))
        if item is not None:
            if item.fact.customer_id != output.customer_id:
                return Forecast(
                    Verdict.WOULD_FAIL,
                    f"would fail: the ledger says the run belongs to {item.fact.customer_id}",
                    item,
                )
            return _standing(item, now)
        return self._run(message, output, rows)

    def _run(self, message: FileProcessed, output: RunOutput, rows: _Rows) -> Forecast:
        row = rows.runs.get(output.run_id)
        run = None if row is None else self._history.decode(output.run_id, row)
        if run is not None:
            if run.customer_id not in {None, output.customer_id}:
                return Forecast(
                    Verdict.WOULD_FAIL,
                    f"would fail: the history says the run belongs to {run.customer_id}",
                )
            if run.status in ENDED_UNBILLED:
                return Forecast(
                    Verdict.NOT_BILLED, f"would not be billed: the run has {run.status}"
                )
            if run.status not in COMPLETED:
                return Forecast(
                    Verdict.WOULD_WAIT,
                    f"would wait for the run, whose status is {run.status or 'missing'}",
                )
        uploads = self._prefixes.run_uploads(output.customer_id, output.run_id)
        in_s3 = self._listing.usage(uploads, counts=is_file)
        if in_s3.objects == 0 and (run is None or run.usage_bytes() is None):
            return Forecast(
                Verdict.WOULD_FAIL,
                f"would fail: nothing lies under {uploads}, and no row names usageAmountBytes",
            )
        return self._new(min(message.event_time, self._clock.now()), f"run {output.run_id}")

    def _new(self, stamped_at: datetime, what: str) -> Forecast:
        if self._bill_from is not None and stamped_at < self._bill_from:
            return Forecast(
                Verdict.NOT_BILLED, f"would not be billed: {what} lies before SIFTBEAM_BILL_FROM"
            )
        if _too_old(stamped_at, self._clock.now()):
            return _refused_for_age(stamped_at, None)
        return Forecast(Verdict.WOULD_BILL, f"would bill {what}")


def _standing(item: LedgerItem, now: datetime) -> Forecast:
    key = item.fact.key
    if item.state in COUNTED:
        return Forecast(
            Verdict.ALREADY_BILLED,
            f"would send nothing: {key} is {item.state} ({item.fact.value:,} bytes)",
            item,
        )
    why = item.last_error or "no reason recorded"
    if item.state in STUCK:
        return Forecast(
            Verdict.STUCK,
            f"would come back: the ledger says {item.state} for {key}: {why}; mend the cause, then "
            f"siftbeam-billing resend '{key}' --generation {item.generation}",
            item,
        )
    if item.state is State.SKIPPED:
        return Forecast(Verdict.NOT_BILLED, f"would send nothing: {key} is skipped: {why}", item)
    step = next_step(item, now)
    if isinstance(step, Busy | Overdue):
        return Forecast(
            Verdict.WOULD_WAIT,
            f"would wait: {key} is {item.state}, an attempt's fate is open",
            item,
        )
    if _too_old(item.fact.stamped_at, now):
        return _refused_for_age(item.fact.stamped_at, item)
    return Forecast(
        Verdict.WOULD_BILL, f"would bill {key}: {item.fact.value:,} bytes, as frozen", item
    )


def _too_old(stamped_at: datetime, now: datetime) -> bool:
    return now - stamped_at > OLDEST_STAMP


def _refused_for_age(stamped_at: datetime, item: LedgerItem | None) -> Forecast:
    return Forecast(
        Verdict.TOO_OLD,
        f"Stripe would refuse it: its timestamp {stamped_at:%Y-%m-%dT%H:%M:%SZ} is over "
        f"{OLDEST_STAMP.days} days old",
        item,
    )
