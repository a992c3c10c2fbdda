"""A ledger item: a fact and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from worker.ledger.fact import Fact


class State(StrEnum):
    """Where a fact stands.

    ``planned`` nothing is under way. ``sending`` a claim is held, or ran out. ``unknown`` an
    attempt's fate is open. ``sent`` Stripe took it. ``confirmed`` Stripe's summaries agree, or
    the value is zero. ``invoiced`` it stands on an invoice. ``rejected`` Stripe refused it at
    the door. ``refused`` Stripe refused it later. ``manual`` a person decides. ``skipped`` it
    is not to be billed, and the item says why.
    """

    PLANNED = "planned"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    CONFIRMED = "confirmed"
    INVOICED = "invoiced"
    REJECTED = "rejected"
    REFUSED = "refused"
    MANUAL = "manual"
    SKIPPED = "skipped"


COUNTED = frozenset({State.SENT, State.CONFIRMED, State.INVOICED})
STUCK = frozenset({State.REJECTED, State.REFUSED, State.MANUAL})
OPEN = frozenset({State.PLANNED, State.SENDING, State.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerItem:
    """A fact and its mutable part, as one strongly consistent read found them.

    Args:
        fact: what is billed.
        state: where it stands.
        generation: 1, and one more for each resend by a person.
        fence: raised by every transition, never reset; a write that names an older one fails.
        attempts: calls claimed since the fact was last known to be unsent.
        retries: calls that did not settle it, for the back-off alone.
        created_at: when the fact was frozen.
        claim_until: when the last claim runs, or ran, out.
        first_attempt_at: the first claim whose fate may be open.
        next_attempt_at: when ``resolve`` takes it up again; None once nothing is due. A fact that
            stands still is due until a dead letter tells a person of it.
        sent_at: when Stripe was known to have it.
        last_error: why the last attempt did not settle it.
    """

    fact: Fact
    state: State
    generation: int
    fence: int
    attempts: int
    retries: int
    created_at: datetime
    claim_until: datetime | None = None
    first_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    last_error: str | None = None

    @property
    def identifier(self) -> str:
        """The identifier under which the current generation is, or was, sent."""
        return self.fact.identifier(self.generation)

    @property
    def counted(self) -> bool:
        """Whether Stripe has it, or it is zero and needs no event."""
        return self.state in COUNTED

    def stands_as(self, wanted: LedgerItem) -> bool:
        """Whether a write left it so; another one may have raised the fence just as far."""

        def mark(item: LedgerItem) -> tuple[object, ...]:
            return item.fence, item.state, item.attempts, item.retries, item.last_error

        return mark(self) == mark(wanted)
