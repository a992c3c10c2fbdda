"""The verdict: figures of several sources, compared to the byte and to the cent.

Pure: what is compared comes from the witness and from the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from worker.demo.premises import FILE_CENTS_PER_BYTE, GIB, STORAGE_CENTS_PER_GIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.demo.witness import SeenLine

_KNOWN: Final = frozenset({"confirmed", "invoiced"})
_UNKNOWN: Final = frozenset({"refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What each source says of one customer and meter. Bytes.

    Args:
        customer_id: the customer.
        meter: the meter's event name.
        known: whether Stripe knows the customer.
        measured: by the witness: the average of the daily rows, or the input's sum in S3.
        facts: how many facts there are to be.
        ledger: the sum of the facts.
        states: where the facts stand.
        counted: what Stripe counts.
        refused: the codes under which Stripe refused events after it had taken them.
        line: the line of the draft invoice.
    """

    customer_id: str
    meter: str
    known: bool
    measured: int
    facts: int
    ledger: int
    states: tuple[str, ...]
    counted: int
    refused: tuple[str, ...]
    line: SeenLine | None


def average(daily_bytes: Sequence[int]) -> int:
    """The mean, exactly; a half goes to the even neighbour."""
    return round(Fraction(sum(daily_bytes), len(daily_bytes)))


def storage_price(measured: int) -> tuple[int, int]:
    """GiB begun, and what they cost in US cents."""
    units = -(-measured // GIB)
    return units, int(STORAGE_CENTS_PER_GIB * units)


def file_price(measured: int) -> tuple[int, int]:
    """Bytes, and what they cost in US cents, rounded once."""
    cents = FILE_CENTS_PER_BYTE * Decimal(measured)
    return measured, int(cents.quantize(Decimal(1), ROUND_HALF_UP))


def differences(account: Account, price: tuple[int, int]) -> Iterator[str]:
    """Each figure that is not what was measured, or not what that costs.

    Args:
        account: the figures.
        price: the units and US cents that the measure comes to.
    """
    measured, line = account.measured, account.line
    units, cents = price
    yield from _differs(account, "the ledger", account.ledger, measured)
    yield from _differs(account, "the ledger's count of facts", len(account.states), account.facts)
    yield from _differs(account, "Stripe", account.counted, measured if account.known else 0)
    wanted = _KNOWN if account.known else _UNKNOWN
    for state in account.states:
        if state not in wanted:
            yield f"{_who(account)}: the fact is {state}, expected {' or '.join(sorted(wanted))}"
    if not account.known:
        if bool(account.refused) != bool(measured):
            yield f"{_who(account)}: Stripe does not know this customer, refused: {account.refused}"
        if line is not None:
            yield f"{_who(account)}: an invoice bills a customer whom Stripe does not know"
        return
    if account.refused:
        yield f"{_who(account)}: Stripe refused it afterwards: {', '.join(account.refused)}"
    if line is None:
        yield f"{_who(account)}: no invoice has a line for it"
        return
    yield from _differs(account, "the invoice's usage", line.usage, measured)
    yield from _differs(account, "the invoice's quantity", line.quantity, units)
    yield from _differs(account, "the invoice's amount in cents", line.cents, cents)


def _differs(account: Account, source: str, found: int, expected: int) -> Iterator[str]:
    if found != expected:
        yield f"{_who(account)}: {source} says {found:,}, expected {expected:,}"


def _who(account: Account) -> str:
    return f"{account.customer_id} {account.meter}"
