"""What a fact's state means to somebody who does not run the worker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.ledger.item import COUNTED, STUCK, LedgerItem, State


class Tone(StrEnum):
    """How a thing stands: ``good`` done, ``open`` under way, ``bad`` a person is needed."""

    GOOD = "good"
    OPEN = "open"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Standing:
    """A state in words.

    Args:
        label: one or two words.
        tone: how that is.
        meaning: what it says of the fact.
        next_step: what a person does about it; None where nothing has to be.
    """

    label: str
    tone: Tone
    meaning: str
    next_step: str | None = None


NOT_FROZEN = Standing(
    "not billed yet", Tone.OPEN, "The month's average is not frozen yet: the amount is an estimate."
)
IMPOSSIBLE = Standing(
    "cannot be billed",
    Tone.BAD,
    "The month cannot be billed as its rows stand; the reason says why.",
)
_RESEND = (
    "Mend what the reason names, then `siftbeam-billing resend` bills it under its next identifier."
)
STANDINGS = {
    State.PLANNED: Standing("planned", Tone.OPEN, "Recorded, and about to be sent to Stripe."),
    State.SENDING: Standing("sending", Tone.OPEN, "Being sent to Stripe now."),
    State.UNKNOWN: Standing(
        "unknown",
        Tone.OPEN,
        "Stripe gave no answer. It is asked again, and its sums are compared, for up to two days.",
    ),
    State.SENT: Standing("sent", Tone.GOOD, "Stripe took it; its sums do not show it yet."),
    State.CONFIRMED: Standing("confirmed", Tone.GOOD, "Stripe's sums show it, to the byte."),
    State.INVOICED: Standing("invoiced", Tone.GOOD, "It stands on a final invoice."),
    State.REJECTED: Standing("rejected", Tone.BAD, "Stripe refused it at once.", _RESEND),
    State.REFUSED: Standing("refused", Tone.BAD, "Stripe refused it after taking it.", _RESEND),
    State.MANUAL: Standing(
        "for a person",
        Tone.BAD,
        "A person has to decide: it may not be sent any more, or nobody else can tell whether "
        "Stripe counts it.",
        "Do as the reason says; where it leaves that open, compare the customer's usage in Stripe "
        "with this figure, then `siftbeam-billing resend` or leave it.",
    ),
    State.SKIPPED: Standing(
        "not billed", Tone.QUIET, "It is not to be billed; the reason says why."
    ),
}


def became_of(item: LedgerItem) -> str:
    """How a fact that did not go the plain way stands now."""
    standing = STANDINGS[item.state]
    if item.state in COUNTED:
        if item.generation > 1:
            how = f"sent anew as number {item.generation}"
        elif item.retries:
            how = f"sent after {item.retries + 1} attempts"
        else:
            how = "sent"
        return f"{how}; {standing.label}. {standing.meaning}"
    if item.state in STUCK and standing.next_step is not None:
        return f"{standing.label}. {standing.meaning} {standing.next_step}"
    return f"{standing.label}. {standing.meaning}"
