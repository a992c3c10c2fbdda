from dataclasses import replace
from datetime import UTC, datetime

import pytest

from producers.billing_month import BillingMonth
from worker.ledger.fact import Fact, FactKind, StripeAccount
from worker.ledger.item import LedgerItem, State
from worker.ledger.rules import first_item
from worker.reconciliation.advice import advice
from worker.reconciliation.line import Line
from worker.reconciliation.period import Period

AT = datetime(2025, 10, 3, 4, 5, 6, tzinfo=UTC)


def item(state: State) -> LedgerItem:
    fact = Fact(
        kind=FactKind.FILE,
        customer_id="cus_A",
        subject="run-1",
        event_name="file_processed",
        value=10,
        stamped_at=AT,
        account=StripeAccount(None, livemode=False),
        origin="{}",
    )
    return replace(first_item(fact, AT), state=state)


def line(ledger: int, counted: int | None, *states: State, recent: int = 0) -> Line:
    return Line(
        "cus_A",
        "file_processed",
        ledger_bytes=ledger,
        stripe_bytes=counted,
        waiting=tuple(item(state) for state in states),
        recent=recent,
    )


def test_what_agrees_needs_no_advice() -> None:
    assert advice([line(5, 5), line(5, 5, State.MANUAL)]) == ()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (line(0, 10, State.UNKNOWN), ["siftbeam-billing resolve"]),
        (line(0, 10, State.REFUSED), ["siftbeam-billing dlq list"]),
        (line(0, 10, State.PLANNED, State.MANUAL), ["siftbeam-billing resolve", "dlq list"]),
        (line(10, 0, recent=1), ["reconcile again tomorrow"]),
        (line(10, 0), ["cancelled or lost"]),
        (line(0, 10), ["the ledger does not hold"]),
        (line(0, None), ["siftbeam-billing doctor"]),
    ],
)
def test_each_difference_says_what_to_do(found: Line, words: list[str]) -> None:
    steps = advice([found, found])

    assert len(steps) == len(words)
    assert all(word in step for word, step in zip(words, steps, strict=True))


def test_a_difference_is_stripes_less_ours() -> None:
    assert line(10, 4).difference == -6
    assert line(10, None).difference is None
    assert not line(10, None).agrees


def test_a_running_month_is_compared_to_the_last_whole_minute() -> None:
    month = BillingMonth(2025, 10)

    assert Period.of(month, AT) == Period(
        datetime(2025, 10, 1, tzinfo=UTC), datetime(2025, 10, 3, 4, 5, tzinfo=UTC)
    )
    assert Period.of(month, datetime(2026, 1, 1, tzinfo=UTC)).end == datetime(
        2025, 11, 1, tzinfo=UTC
    )
