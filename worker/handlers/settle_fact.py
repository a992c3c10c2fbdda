"""Corrections and cancellations: facts that an operator wrote into the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import Permanent
from worker.ledger.fact import FactKind
from worker.ledger.item import OPEN, State
from worker.ledger.rules import refused

if TYPE_CHECKING:
    from producers.messages import SettleFact
    from worker.clock import Clock
    from worker.ledger.item import LedgerItem
    from worker.ledger.store import Ledger
    from worker.month_rows import MonthRows
    from worker.outcome import Outcome
    from worker.settlement import Settlement

_CANCELLABLE = frozenset({State.SENT, State.CONFIRMED})


class NoSuchFact(Permanent):
    """The ledger has no correction under that key."""


class SettleFactHandler:
    """Brings a correction to Stripe, and lets the rows of its month follow.

    Args:
        settlement: sends.
        ledger: where facts stand.
        month_rows: lets rows follow.
        clock: the time.
    """

    def __init__(
        self, *, settlement: Settlement, ledger: Ledger, month_rows: MonthRows, clock: Clock
    ) -> None:
        self._settlement = settlement
        self._ledger = ledger
        self._month_rows = month_rows
        self._clock = clock

    def handle(self, message: SettleFact) -> Outcome:
        """Settle once, however often the message comes.

        Raises:
            NoSuchFact: nothing of that key was ever written; nothing was sent.
        """
        item = self._ledger.find(message.fact)
        if item is None or item.fact.correction is None:
            raise NoSuchFact(
                f"the ledger has no correction {message.fact}; write one with `adjust`"
            )
        if item.fact.correction.cancels is not None and item.state in OPEN:
            item = self._with_its_event(item, item.fact.correction.of)
        item = self._settlement.settle(item)
        if item.fact.kind is FactKind.STORAGE:
            self._month_rows.follow_correction(item)
        return self._settlement.outcome_of(item)

    def _with_its_event(self, item: LedgerItem, key: str) -> LedgerItem:
        """The cancellation, refused where Stripe refused the event itself meanwhile."""
        event = self._ledger.find(key)
        if event is None or event.state in _CANCELLABLE or item.attempts:
            return item
        return self._ledger.decide(
            item,
            refused(
                item,
                f"{key} is {event.state} by now: there is nothing to cancel",
                self._clock.now(),
            ),
        )
