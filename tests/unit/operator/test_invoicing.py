"""What invoices say of usage, where the Stripe simulator has no way to say it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from infra.stripe_simulator import SettableClock
from tests.integration.scenario import WorkerClock
from worker.ledger.fact import Fact, FactKind, StripeAccount
from worker.ledger.item import LedgerItem, State
from worker.ledger.rules import first_item
from worker.reconciliation.bill import Bill, spans
from worker.reconciliation.finding import Finding, FindingKind
from worker.reconciliation.inquiry import Inquiry
from worker.reconciliation.invoicing import Invoicing
from worker.reconciliation.period import Period
from worker.stripe_api.invoices import UsageLine
from worker.stripe_api.metered_prices import MeteredPrice
from worker.stripe_api.subscriptions import MeteredItem

METER = "file_processed"
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
FINAL = NOVEMBER + timedelta(hours=1)
BYTES = MeteredPrice("price_bytes", METER)
HUNDREDS = MeteredPrice("price_hundreds", METER, divide_by=100, rounds_up=True)


def line(
    quantity: str,
    price: MeteredPrice = BYTES,
    *,
    status: str = "open",
    start: datetime = OCTOBER,
    end: datetime = NOVEMBER,
) -> UsageLine:
    final = None if status == "draft" else FINAL
    return UsageLine("in_1", status, final, price, Decimal(quantity), start, end)


def fact(run_id: str, size: int, *, sent_at: datetime = OCTOBER + timedelta(days=4)) -> LedgerItem:
    frozen = Fact(
        kind=FactKind.FILE,
        customer_id="cus_A",
        subject=run_id,
        event_name=METER,
        value=size,
        stamped_at=OCTOBER + timedelta(days=4),
        account=StripeAccount(None, livemode=False),
        origin="{}",
    )
    return replace(first_item(frozen, sent_at), state=State.CONFIRMED, sent_at=sent_at)


class Books:
    """Invoices and subscriptions as given."""

    def __init__(self, *lines: UsageLine) -> None:
        self._lines = lines

    def usage_lines(
        self, customer_id: str, start: datetime, end: datetime
    ) -> tuple[UsageLine, ...]:
        assert (customer_id, start, end) == ("cus_A", OCTOBER, NOVEMBER)
        return self._lines

    def metered_items(self, customer_id: str) -> tuple[MeteredItem, ...]:
        assert customer_id == "cus_A"
        return (MeteredItem("sub_1", "active", BYTES, OCTOBER, None, NOVEMBER),)


def findings(
    *lines: UsageLine, facts: tuple[LedgerItem, ...], now: datetime = FINAL + timedelta(days=3)
) -> list[Finding]:
    books, clock = Books(*lines), WorkerClock(SettableClock(now))
    invoicing = Invoicing(invoices=books, subscriptions=books, inquiry=Inquiry(clock), clock=clock)
    period = Period(OCTOBER, NOVEMBER)

    def between(start: datetime, end: datetime) -> list[LedgerItem]:
        return [item for item in facts if start <= item.fact.stamped_at < end]

    examined = invoicing.examine("cus_A", period, {METER: between})
    return list(examined.by_meter[METER].findings)


def test_a_void_invoice_bills_nothing() -> None:
    (found,) = findings(line("10", status="void"), facts=(fact("run-1", 10),))

    assert found.kind is FindingKind.VOID
    assert [item.fact.subject for item in found.facts] == ["run-1"]


def test_a_void_invoice_that_another_replaced_is_no_difference() -> None:
    assert findings(line("10", status="void"), line("10"), facts=(fact("run-1", 10),)) == []


def test_an_invoice_that_does_not_come_is_missed_after_a_day() -> None:
    facts = (fact("run-1", 10),)

    assert findings(facts=facts, now=NOVEMBER + timedelta(hours=23)) == []
    (found,) = findings(facts=facts, now=NOVEMBER + timedelta(hours=25))
    assert found.kind is FindingKind.NOT_INVOICED


def test_the_lines_of_a_price_in_tiers_are_one_bill() -> None:
    assert findings(line("6"), line("4"), facts=(fact("run-1", 10),)) == []
    (found,) = findings(line("6"), line("5"), facts=(fact("run-1", 10),))
    assert found.kind is FindingKind.QUANTITY


def test_lines_in_different_units_over_the_same_time_never_agree() -> None:
    kinds = [found.kind for found in findings(line("10"), line("0", HUNDREDS), facts=())]

    assert kinds == [FindingKind.QUANTITY, FindingKind.PRICE_CHANGE]


def test_a_part_of_a_unit_is_a_difference() -> None:
    (found,) = findings(line("10.5"), facts=(fact("run-1", 10),))

    assert "10.5 units" in found.text


@pytest.mark.parametrize(
    ("status", "sent_hours_ago", "may_settle"),
    [("draft", 1, True), ("draft", 24, False), ("open", 1, False)],
)
def test_only_a_draft_may_yet_show_what_was_sent_lately(
    status: str,
    sent_hours_ago: int,
    may_settle: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    now = FINAL + timedelta(days=1)
    sent = replace(
        fact("run-1", 10, sent_at=now - timedelta(hours=sent_hours_ago)), state=State.SENT
    )

    (found,) = findings(line("0", status=status), facts=(sent,), now=now)

    assert (found.kind, found.may_settle) == (FindingKind.QUANTITY, may_settle)


@pytest.mark.parametrize(
    ("price", "used", "quantity"),
    [
        (BYTES, 0, 0),
        (BYTES, 10**15 - 1, 10**15 - 1),
        (HUNDREDS, 0, 0),
        (HUNDREDS, 1, 1),
        (HUNDREDS, 100, 1),
        (HUNDREDS, 101, 2),
        (MeteredPrice("price", METER, divide_by=100), 199, 1),
    ],
)
def test_a_quantity_is_exact(price: MeteredPrice, used: int, quantity: int) -> None:
    assert price.quantity(used) == quantity


def test_only_confirmed_facts_that_came_in_time_stand_on_a_final_invoice() -> None:
    in_time = fact("run-1", 10)
    late = fact("run-2", 20, sent_at=FINAL)
    unconfirmed = replace(fact("run-3", 30), state=State.SENT)
    facts = (in_time, late, unconfirmed)

    assert list(Bill((line("1", HUNDREDS),), facts).invoiced()) == [in_time]
    # Byte by byte nothing can hide: what agrees holds the late one too.
    assert list(Bill((line("60"),), facts).invoiced()) == [in_time, late]
    assert list(Bill((line("59"),), facts).invoiced()) == []
    assert list(Bill((line("60", status="draft"),), facts).invoiced()) == []


def test_lines_that_touch_are_bills_of_their_own() -> None:
    middle = datetime(2026, 10, 15, tzinfo=UTC)
    first, second = line("1", end=middle), line("2", start=middle)
    across = line("3", start=middle - timedelta(days=1), end=middle + timedelta(days=1))

    assert list(spans([second, first])) == [(first,), (second,)]
    assert list(spans([second, first, across])) == [(first, across, second)]
