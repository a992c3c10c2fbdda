"""Files processed: one billing fact per processing run, for the bytes of its input.

An output in S3 is a hint; the run's row in the application's history decides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from producers.identity import check_customer_id, check_run_id
from worker.errors import Permanent
from worker.lease import check_lease
from worker.ledger.fact import Fact, FactKind, file_key
from worker.ledger.item import STUCK, LedgerItem, State
from worker.outcome import Done, Outcome, Retry
from worker.prefixes import is_file
from worker.tables.history import COMPLETED, ENDED_UNBILLED, SKIP_REASONS, skip_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producers.fan_out import FanOut
    from producers.messages import FileProcessed
    from worker.clock import Clock
    from worker.consumer.received import ReceivedMessage
    from worker.listing.listing import Listing
    from worker.prefixes import Prefixes, RunOutput
    from worker.settlement import Settlement
    from worker.tables.history import HistoryTable, Run

_FIRST_LOOK = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)
_LONGEST_WAIT = timedelta(days=1)


class ImpossibleId(Permanent):
    """The key names a customer or a run that can be nobody's."""


class OtherCustomer(Permanent):
    """The run belongs to another customer than the key says."""


class NothingToBill(Permanent):
    """Neither S3 nor the history says how many bytes the run took."""


class StillInProgress(Permanent):
    """The run has been in progress for a day."""


class FileProcessedHandler:
    """Bills a processing run.

    Args:
        settlement: freezes and sends.
        history: the application's runs.
        listing: sums up a run's input.
        prefixes: where it lies.
        fan_out: puts messages back on the queue.
        clock: the time.
        bucket: the bucket whose events are billed.
        event_name: the file meter's.
    """

    def __init__(
        self,
        *,
        settlement: Settlement,
        history: HistoryTable,
        listing: Listing,
        prefixes: Prefixes,
        fan_out: FanOut,
        clock: Clock,
        bucket: str,
        event_name: str,
    ) -> None:
        self._settlement = settlement
        self._history = history
        self._listing = listing
        self._prefixes = prefixes
        self._fan_out = fan_out
        self._clock = clock
        self._bucket = bucket
        self._event_name = event_name

    def spread(self, messages: Sequence[FileProcessed]) -> Outcome:
        """Give each of several records a message of its own, so that each can fail alone."""
        count = self._fan_out.completions(messages)
        return Done(f"{count.sent} records, each given a message of its own")

    def handle(self, message: FileProcessed, received: ReceivedMessage) -> Outcome:
        """Bill the run once, however many outputs and messages it has.

        Raises:
            ImpossibleId: a customer or run id that nothing can have.
            OtherCustomer: the history or the ledger knows the run under another customer.
            NothingToBill: the input is gone and the history names no bytes.
            StillInProgress: for a day.
        """
        output = self._prefixes.output(message.key)
        if message.bucket != self._bucket or output is None:
            return Done("not an output of a run, ignored")
        structlog.contextvars.bind_contextvars(customer=output.customer_id)
        _check_ids(output, message.key)
        item = self._settlement.find(file_key(output.run_id))
        skipped = item if item is not None and was_skipped_for_its_run(item) else None
        if item is None or skipped is not None:
            run = self._history.find(output.run_id)
            if skipped is not None and (run is None or run.status in ENDED_UNBILLED):
                return Done(f"not billed: {skipped.last_error}")
            if run is not None:
                _check_owner(output, run.customer_id, "history")
                if run.status in ENDED_UNBILLED:
                    return self._skip(message, output, run.status)
                if run.status not in COMPLETED:
                    return self._come_back(received, run.status)
            fact = self._fact(message, output, self._bytes(output, run))
            item = (
                self._settlement.freeze(fact)
                if skipped is None
                else self._settlement.revive(skipped, fact)
            )
        _check_owner(output, item.fact.customer_id, "ledger")
        item = self._settlement.settle(item)
        self._follow(item)
        return self._settlement.outcome_of(item)

    def _skip(self, message: FileProcessed, output: RunOutput, status: str) -> Outcome:
        item = self._settlement.skip(self._fact(message, output, 0), skip_reason(status))
        return Done(f"not billed: {item.last_error}")

    def _come_back(self, received: ReceivedMessage, status: str | None) -> Outcome:
        """Wait as long again as the run was waited for: a minute at first, an hour in the end."""
        since = received.first_received_at
        waited = self._clock.now() - since
        reason = f"the run's status is {status or 'missing'}"
        if waited >= _LONGEST_WAIT:
            raise StillInProgress(
                f"{reason} since {since.isoformat()}; replay when it has completed, or leave it to "
                "the nightly sweep"
            )
        pause = min(max(waited, _FIRST_LOOK), _LONGEST_PAUSE)
        return Retry(reason, pause.total_seconds(), limited=False)

    def _bytes(self, output: RunOutput, run: Run | None) -> int:
        prefix = self._prefixes.run_uploads(output.customer_id, output.run_id)
        usage = self._listing.usage(prefix, counts=is_file)
        if usage.objects:
            return usage.total_bytes
        said = None if run is None else run.usage_bytes()
        if said is not None:
            return said
        raise NothingToBill(
            f"nothing lies under {prefix} and the history names no usageAmountBytes; put the "
            "bytes into the run's row (or the input back), then replay"
        )

    def _fact(self, message: FileProcessed, output: RunOutput, value: int) -> Fact:
        return Fact(
            kind=FactKind.FILE,
            customer_id=output.customer_id,
            subject=output.run_id,
            event_name=self._event_name,
            value=value,
            stamped_at=min(message.event_time, self._clock.now()).replace(microsecond=0),
            account=self._settlement.account(),
            origin=message.body(),
        )

    def _follow(self, item: LedgerItem) -> None:
        """Note on the run's row what Stripe said; nothing where it never said no.

        ``retries`` is reset by a resend alone, so whoever succeeds after a failure clears what the
        failure wrote, or forestalls it.
        """
        check_lease()
        run_id, error = item.fact.subject, item.last_error
        if item.counted:
            if item.retries or item.generation > 1:
                self._history.clear_error(run_id, item.fence)
        elif error is not None and (item.retries or item.state in STUCK):
            self._history.note_error(run_id, item.fence, error)


def _check_ids(output: RunOutput, key: str) -> None:
    try:
        check_customer_id(output.customer_id)
        check_run_id(output.run_id)
    except ValueError as error:
        raise ImpossibleId(f"key {key[:200]!r}: {error}") from None


def _check_owner(output: RunOutput, owner: str | None, where: str) -> None:
    if owner is not None and owner != output.customer_id:
        raise OtherCustomer(
            f"the key says {output.customer_id}, the {where} says run {output.run_id} belongs to "
            f"{owner}; mend whichever is wrong, then replay"
        )


def was_skipped_for_its_run(item: LedgerItem) -> bool:
    """Whether a fact was skipped because its run had failed: the run may be run again."""
    return item.state is State.SKIPPED and item.last_error in SKIP_REASONS
