"""A bill: the invoice lines over one span of a customer's meter, against the ledger's facts.

Mostly that is one line. Several lines over the same time are one bill, because their usage cannot
be told apart: a price in tiers has a line for each, and two subscriptions on one meter bill the
same usage twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from worker.ledger.rules import may_be_invoiced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from worker.ledger.item import LedgerItem
    from worker.stripe_api.invoices import UsageLine


@dataclass(frozen=True, slots=True)
class BillFigures:
    """A bill without its facts, which may be many.

    Args:
        lines: the invoice lines.
        facts: how many counted facts are stamped in their span.
        used_bytes: what these come to.
        expected: the same in the lines' units; None where they have different ones.
        agrees: whether exactly that is billed.
    """

    lines: tuple[UsageLine, ...]
    facts: int
    used_bytes: int
    expected: int | None
    agrees: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """What invoices bill for a span of time, and the counted facts stamped in it.

    Args:
        lines: at least one; none of them void.
        facts: the counted facts of the meter, stamped in the span.
    """

    lines: tuple[UsageLine, ...]
    facts: tuple[LedgerItem, ...] = ()

    @property
    def start(self) -> datetime:
        """Where the span begins, inclusive."""
        return min(line.start for line in self.lines)

    @property
    def end(self) -> datetime:
        """Where the span ends, exclusive."""
        return max(line.end for line in self.lines)

    @property
    def used_bytes(self) -> int:
        """What the facts come to."""
        return sum(item.fact.value for item in self.facts)

    @property
    def quantity(self) -> Decimal:
        """The units billed."""
        return sum((line.quantity for line in self.lines), Decimal(0))

    @property
    def expected(self) -> int | None:
        """The units that the facts come to; None where the lines count in different units."""
        first, *others = (line.price for line in self.lines)
        units = (first.divide_by, first.rounds_up)
        if any((price.divide_by, price.rounds_up) != units for price in others):
            return None
        return first.quantity(self.used_bytes)

    @property
    def agrees(self) -> bool:
        """Whether exactly that is billed."""
        return self.quantity == self.expected

    @property
    def in_full_each(self) -> bool:
        """Whether each of several lines bills all of the usage by itself."""
        return len(self.lines) > 1 and all(
            line.quantity == line.price.quantity(self.used_bytes) for line in self.lines
        )

    @property
    def finalized_at(self) -> datetime | None:
        """Since when all of it is final; None while some of it is a draft."""
        instants = [line.finalized_at for line in self.lines if not line.draft]
        known = [instant for instant in instants if instant is not None]
        return max(known) if len(known) == len(self.lines) else None

    @property
    def figures(self) -> BillFigures:
        """What a reader needs of it."""
        return BillFigures(self.lines, len(self.facts), self.used_bytes, self.expected, self.agrees)

    def late(self) -> tuple[LedgerItem, ...]:
        """The facts that were sent when it was final already."""
        final = self.finalized_at
        if final is None:
            return ()
        return tuple(
            item for item in self.facts if item.sent_at is not None and item.sent_at >= final
        )

    def invoiced(self) -> Iterator[LedgerItem]:
        """The confirmed facts that stand on it for certain."""
        final = self.finalized_at
        if final is None or not self.agrees:
            return
        exactly = all(line.price.divide_by == 1 for line in self.lines)
        yield from (item for item in self.facts if may_be_invoiced(item, final, exactly=exactly))


def spans(lines: Iterable[UsageLine]) -> Iterator[tuple[UsageLine, ...]]:
    """The lines of one meter by the time they bill: those that overlap stand together."""
    together: list[UsageLine] = []
    for line in sorted(lines, key=lambda line: (line.start, line.end, line.invoice_id)):
        if together and line.start >= max(other.end for other in together):
            yield tuple(together)
            together = []
        together.append(line)
    if together:
        yield tuple(together)
