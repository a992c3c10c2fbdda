"""The sweep: completed runs that no billing fact covers.

S3's events can be missed, and a run may write no output. So every night the history is read and
what has no fact is enqueued; a fact that exists is never made twice.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from producers.identity import check_customer_id, check_run_id
from producers.messages import FileProcessed
from worker.ledger.fact import file_key
from worker.ledger.item import State
from worker.tables.history import SKIP_REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from worker.ledger.store import Ledger
    from worker.listing.listing import Listing
    from worker.prefixes import Prefixes
    from worker.tables.history import CompletedRun, HistoryTable

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH = 100


class Sweep:
    """Finds completed runs without a fact.

    Args:
        history: the runs.
        ledger: the facts.
        listing: tells when a run's objects were written, where its row does not.
        prefixes: where they lie.
        bucket: the bucket that the messages are to name.
    """

    def __init__(
        self,
        *,
        history: HistoryTable,
        ledger: Ledger,
        listing: Listing,
        prefixes: Prefixes,
        bucket: str,
    ) -> None:
        self._history = history
        self._ledger = ledger
        self._listing = listing
        self._prefixes = prefixes
        self._bucket = bucket

    def unbilled(self, since: datetime, refuse: Callable[[str], None]) -> Iterator[FileProcessed]:
        """A message for every run that completed since an instant and has no fact.

        A run whose row names no ``completedAt`` is dated by its objects in S3, or else by its
        ``createdAt``; one that has none of these is reported and left out, for nobody can say
        whether it was billed long ago. A run that was skipped because it had failed counts as
        unbilled once it has completed.

        Args:
            since: runs that completed before it are left out.
            refuse: is told why a run cannot be billed.
        """
        runs = (run for run in self._history.completed() if self._is_billable(run, refuse))
        while batch := list(itertools.islice(runs, _BATCH)):
            known = self._ledger.existing({file_key(run.run_id) for run in batch})
            for run in batch:
                if _is_unbilled(known.get(file_key(run.run_id))):
                    yield from self._message(run, since, refuse)

    def _is_billable(self, run: CompletedRun, refuse: Callable[[str], None]) -> bool:
        try:
            check_run_id(run.run_id)
            check_customer_id(run.customer_id or "")
        except ValueError as error:
            refuse(f"run {run.run_id!r}: {error}")
            return False
        return True

    def _message(
        self, run: CompletedRun, since: datetime, refuse: Callable[[str], None]
    ) -> Iterator[FileProcessed]:
        customer = run.customer_id or ""
        # Not `updatedAt`: a row that is touched years later would pass for a run of today.
        at = run.completed_at or self._written_at(customer, run.run_id) or run.created_at
        if at is None:
            refuse(
                f"run {run.run_id} of {customer} names no time and has no objects left; if it was "
                "never billed, `enqueue file-processed --key` bills it"
            )
        elif at >= since:
            yield FileProcessed(
                bucket=self._bucket, key=self._prefixes.swept(customer, run.run_id), event_time=at
            )

    def _written_at(self, customer_id: str, run_id: str) -> datetime | None:
        return self._listing.last_written(
            self._prefixes.run_products(customer_id, run_id)
        ) or self._listing.last_written(self._prefixes.run_uploads(customer_id, run_id))


def _is_unbilled(standing: tuple[State, str | None] | None) -> bool:
    if standing is None:
        return True
    state, reason = standing
    return state is State.SKIPPED and reason in SKIP_REASONS
