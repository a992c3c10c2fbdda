"""A finding: one thing about a customer's meter that is not as it should be, or worth knowing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.ledger.item import LedgerItem


class FindingKind(StrEnum):
    """What was found.

    ``quantity`` an invoice bills another quantity than the ledger comes to. ``billed_twice``
    several lines bill the same usage in full. ``void`` the invoice that billed it is void.
    ``not_invoiced`` its period is over and it is on no invoice. ``no_subscription`` no subscription
    bills the meter at the fact's timestamp. ``subscription_ended`` the one that did ended before.
    ``price_change`` two prices share the period: worth knowing, no difference.
    """

    QUANTITY = "quantity"
    BILLED_TWICE = "billed_twice"
    VOID = "void"
    NOT_INVOICED = "not_invoiced"
    NO_SUBSCRIPTION = "no_subscription"
    SUBSCRIPTION_ENDED = "subscription_ended"
    PRICE_CHANGE = "price_change"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, in words, with the facts it concerns.

    Args:
        kind: what.
        text: the same for people, with ids, figures and instants.
        facts: the facts that it concerns, or that may explain it.
        may_settle: whether it may go by itself: Stripe's sums may lag behind a recent fact.
    """

    kind: FindingKind
    text: str
    facts: tuple[LedgerItem, ...] = ()
    may_settle: bool = False

    @property
    def differs(self) -> bool:
        """Whether ledger and Stripe disagree."""
        return self.kind is not FindingKind.PRICE_CHANGE
