"""A line of the reconciliation: one customer and meter, compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.ledger.item import State

if TYPE_CHECKING:
    from datetime import datetime

    from worker.ledger.item import LedgerItem
    from worker.reconciliation.bill import BillFigures
    from worker.reconciliation.finding import Finding

# Summaries are eventually consistent; this long at most is assumed.
SUMMARIES_LAG = timedelta(hours=23)


@dataclass(frozen=True, slots=True)
class Line:
    """One customer and meter, compared.

    Args:
        customer_id: the customer.
        event_name: the meter's.
        facts: how many facts the ledger holds as counted by Stripe.
        ledger_bytes: their sum.
        stripe_bytes: what Stripe's summaries say; None where that could not be had.
        waiting: the facts that are not counted, or not for certain, and may explain a difference.
        overdue: counted facts that the summaries should have shown by now.
        recent: how many were sent so lately that the summaries may not show them yet.
        other_account: facts of another Stripe account or mode, left out.
        bills: what the invoices bill, where there are some.
        findings: what is wrong with that, or worth knowing.
        confirmed: facts that this run confirmed.
        invoiced: facts that this run found on final invoices.
        not_compared: what the key may not read.
        problem: why Stripe did not answer a question, where it did not.
    """

    customer_id: str
    event_name: str
    facts: int = 0
    ledger_bytes: int = 0
    stripe_bytes: int | None = None
    waiting: tuple[LedgerItem, ...] = ()
    overdue: tuple[LedgerItem, ...] = ()
    recent: int = 0
    other_account: int = 0
    bills: tuple[BillFigures, ...] = ()
    findings: tuple[Finding, ...] = ()
    confirmed: int = 0
    invoiced: int = 0
    not_compared: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def difference(self) -> int | None:
        """Stripe's bytes less the ledger's: below zero where Stripe counted too little."""
        return None if self.stripe_bytes is None else self.stripe_bytes - self.ledger_bytes

    @property
    def differs(self) -> bool:
        """Whether ledger and Stripe are known to disagree."""
        return self.difference not in {0, None} or any(each.differs for each in self.findings)

    @property
    def agrees(self) -> bool:
        """Whether both say the same, as far as the key may read."""
        return self.difference == 0 and self.problem is None and not self.differs

    @property
    def may_settle(self) -> bool:
        """Whether nothing differs but what Stripe may yet show of facts sent lately."""
        lags = self.difference is not None and self.difference < 0 and self.recent > 0
        return (
            self.differs
            and (self.difference in {0, None} or lags)
            and all(each.may_settle for each in self.findings if each.differs)
        )


def sent_lately(item: LedgerItem, now: datetime) -> bool:
    """Whether the summaries may not show a counted fact yet."""
    return (
        item.state is State.SENT and item.sent_at is not None and item.sent_at > now - SUMMARIES_LAG
    )
