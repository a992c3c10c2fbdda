"""Late refusals: what Stripe took and then did not count.

A report acts on a fact only if it names the identifier that the fact's current generation was sent
under. Which fact that may be is guessed from the identifier; whether it is, the item says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import structlog

from worker.ledger.fact import FactKind, correction_key, file_key, storage_key
from worker.ledger.item import LedgerItem, State
from worker.ledger.rules import refused
from worker.ledger.store import LostRace

if TYPE_CHECKING:
    from worker.clock import Clock
    from worker.ledger.store import Ledger
    from worker.stripe_api.error_reports import ErrorReport, NamedRefusal

_log = structlog.get_logger()
_CORRECTION = re.compile(r"c([1-9][0-9]{0,3})")
_RACES = 10
_NOTHING_TO_CANCEL = "Stripe had refused the event: there is nothing to cancel"


class Match(Enum):
    """What a reported identifier belongs to."""

    CURRENT = "current"
    OLDER = "older"
    NONE = "none"


@dataclass(slots=True)
class Noted:
    """What reports came to.

    Args:
        refused: the facts that moved.
        older: events of earlier generations, or cancelled ones; nothing moves.
        unmatched: identifiers that no fact of this ledger has.
        unnamed: errors that the reports count and do not name.
    """

    refused: list[LedgerItem] = field(default_factory=list)
    older: int = 0
    unmatched: list[str] = field(default_factory=list)
    unnamed: int = 0


class LateRefusals:
    """Moves facts that Stripe did not count to ``refused``.

    Args:
        ledger: where facts stand.
        clock: the time.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def note(self, report: ErrorReport, noted: Noted) -> None:
        """Act on one report. Doing it again changes nothing."""
        noted.unnamed += report.unnamed
        if report.unnamed:
            _log.error(
                "Stripe refused events without naming them; reconcile tells whose",
                action="refusals_unnamed",
                report=report.id,
                unnamed=report.unnamed,
            )
        for refusal in report.named:
            self._note_one(refusal, noted)

    def _note_one(self, refusal: NamedRefusal, noted: Noted) -> None:
        for _ in range(_RACES):
            item, match = self._find(refusal.identifier)
            if item is None or match is Match.NONE:
                noted.unmatched.append(refusal.identifier)
                return
            if match is Match.OLDER:
                noted.older += 1
                return
            cancellation = self._ledger.corrected(item).cancellation
            if cancellation is not None and cancellation.counted:
                # Together they come to nothing, as in Stripe.
                noted.older += 1
                return
            if item.state is State.REFUSED:
                if item.next_attempt_at is not None:
                    # Noted by a worker that may have died before a person was told.
                    noted.refused.append(item)
                return
            now = self._clock.now()
            try:
                if cancellation is not None and cancellation.state is not State.REFUSED:
                    self._ledger.decide(
                        cancellation, refused(cancellation, _NOTHING_TO_CANCEL, now)
                    )
                noted.refused.append(self._ledger.decide(item, refused(item, refusal.reason, now)))
            except LostRace:
                continue
            _log.error(
                "Stripe refused a fact after it had taken it",
                action="fact_refused",
                fact=item.fact.key,
                identifier=refusal.identifier,
                reason=refusal.reason,
            )
            return
        raise LostRace(f"{refusal.identifier}: moved by others each time")

    def _find(self, identifier: str) -> tuple[LedgerItem | None, Match]:
        item = self._ledger.find(_likely_key(identifier))
        if item is None:
            return None, Match.NONE
        if item.identifier == identifier:
            return item, Match.CURRENT
        earlier = {item.fact.identifier(number) for number in range(1, item.generation)}
        return item, Match.OLDER if identifier in earlier else Match.NONE


def _likely_key(identifier: str) -> str:
    """Where a fact with this identifier would stand; what stands there decides."""
    first, *rest = identifier.split(":")
    key = file_key(first)
    if first == FactKind.STORAGE and len(rest) > 1:
        key = storage_key(rest[0], rest[1])
        rest = rest[2:]
    number = _CORRECTION.fullmatch(rest[0]) if rest else None
    return key if number is None else correction_key(key, int(number[1]))
