from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import stripe

from infra.stripe_simulator import (
    Seed,
    SeedCustomer,
    SeedMeter,
    SeedSubscription,
    SettableClock,
    StripeSimulator,
)
from infra.stripe_simulator.periods import next_boundary
from tests.unit.stripe_simulator.caller import Caller
from tests.unit.stripe_simulator.conftest import GIB, START

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def epoch(instant: datetime) -> int:
    return int(instant.timestamp())


def amounts(caller: Caller, invoice: str = "in_sim000001") -> list[object]:
    return caller.get(f"/v1/invoices/{invoice}/lines").column("amount")


def test_a_month_ends_in_a_draft_that_takes_late_usage_until_it_is_final(
    caller: Caller, clock: SettableClock, simulator: StripeSimulator
) -> None:
    clock.set(NOVEMBER - timedelta(seconds=1))
    assert caller.get("/v1/invoices").column("id") == []
    clock.set(NOVEMBER)
    draft = caller.get("/v1/invoices/in_sim000001")
    assert (draft.at("status"), draft.at("amount_due")) == ("draft", 0)
    assert draft.at("automatically_finalizes_at") == epoch(NOVEMBER + timedelta(hours=1))
    assert (draft.at("period_start"), draft.at("period_end")) == (epoch(START), epoch(NOVEMBER))

    clock.set(NOVEMBER + timedelta(minutes=59))
    stamp = epoch(NOVEMBER - timedelta(minutes=1))
    caller.send("in-time", value=str(2 * GIB + 1), timestamp=stamp)
    clock.set(NOVEMBER + timedelta(hours=1))
    caller.send("too-late", value=str(GIB), timestamp=stamp)

    final = caller.get("/v1/invoices/in_sim000001")
    assert (final.at("status"), final.at("amount_due")) == ("open", 30)
    assert final.at("automatically_finalizes_at") is None
    assert final.at("status_transitions", "finalized_at") == epoch(NOVEMBER + timedelta(hours=1))
    clock.set(DECEMBER + timedelta(days=2))
    reached = {event.identifier: event.invoices for event in simulator.truth().counted}
    assert reached == {"in-time": ("in_sim000001",), "too-late": ()}


@pytest.mark.parametrize("hours", [0, 72])
def test_the_grace_period_is_set(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock, hours: int
) -> None:
    simulator.change_settings(grace_hours=hours)
    clock.set(NOVEMBER + timedelta(hours=hours) - timedelta(seconds=1))
    before = caller.get("/v1/invoices").column("status")
    clock.set(NOVEMBER + timedelta(hours=hours))

    assert before == (["draft"] if hours else [])
    assert caller.get("/v1/invoices").column("status") == ["paid"]


def test_usage_on_the_boundary_belongs_to_the_next_period(
    caller: Caller, clock: SettableClock, simulator: StripeSimulator
) -> None:
    clock.set(NOVEMBER)
    caller.send("last", value="1", timestamp=epoch(NOVEMBER) - 1)
    caller.send("first", value="1", timestamp=epoch(NOVEMBER))
    clock.set(DECEMBER)

    reached = {event.identifier: event.invoices for event in simulator.truth().counted}
    assert reached == {"last": ("in_sim000001",), "first": ("in_sim000002",)}


def test_a_line_says_what_was_billed(caller: Caller, clock: SettableClock) -> None:
    caller.send("a", value=str(GIB // 2))
    caller.send("b", value="123456", event_name="file_processed")
    clock.set(NOVEMBER)
    lines = caller.get("/v1/invoices/in_sim000001/lines")

    assert lines.column("quantity") == [1, 123456]
    assert lines.column("amount") == [10, 123]
    assert lines.at("data", 1, "pricing", "unit_amount_decimal") == "0.001"
    assert lines.at("data", 0, "period") == {"start": epoch(START), "end": epoch(NOVEMBER)}
    assert lines.at("data", 0, "parent", "type") == "subscription_item_details"


@pytest.mark.parametrize(
    ("rounding", "usage", "quantity"),
    [
        ("up", 0, 0),
        ("up", 1, 1),
        ("up", 10, 1),
        ("up", 11, 2),
        ("down", 9, 0),
        ("down", 19, 1),
        ("up", -5, 0),
    ],
)
def test_quantities_are_divided_and_rounded(
    simulator: StripeSimulator, clock: SettableClock, rounding: str, usage: int, quantity: int
) -> None:
    meter = SeedMeter.model_validate(
        {"event_name": "storage-usage", "divide_by": 10, "round": rounding, "currency": "jpy"}
    )
    customers = (SeedCustomer(id="cus_a"),)
    subscriptions = (SeedSubscription(customer="cus_a"),)
    simulator.seed(Seed(meters=(meter,), customers=customers, subscriptions=subscriptions))
    Caller(simulator).send(value=str(usage))
    clock.set(NOVEMBER)

    (line,) = simulator.truth().lines
    assert (line.usage, line.quantity, line.currency) == (usage, quantity, "jpy")


@pytest.mark.parametrize(("value", "amount"), [("499", 0), ("500", 1), ("1499", 1), ("1500", 2)])
def test_an_amount_is_rounded_half_up_once(
    caller: Caller, clock: SettableClock, value: str, amount: int
) -> None:
    caller.send(value=value, event_name="file_processed")
    clock.set(NOVEMBER)
    assert amounts(caller) == [0, amount]


def test_large_amounts_are_exact(simulator: StripeSimulator, clock: SettableClock) -> None:
    meter = SeedMeter(event_name="storage-usage", unit_amount=Decimal("0.000000000001"))
    simulator.seed(
        Seed(
            meters=(meter,),
            customers=(SeedCustomer(id="cus_a"),),
            subscriptions=(SeedSubscription(customer="cus_a"),),
        )
    )
    caller = Caller(simulator)
    for number in range(11):
        caller.send(f"e{number}", value="999999999999999")
    clock.set(NOVEMBER)

    (line,) = simulator.truth().lines
    assert (line.usage, line.amount) == (10999999999999989, 11000)


def test_cancelling_changes_a_draft_but_not_a_final_invoice(
    caller: Caller, clock: SettableClock
) -> None:
    clock.set(NOVEMBER)
    stamp = epoch(NOVEMBER) - 60
    caller.send("a", value=str(GIB), timestamp=stamp)
    caller.send("b", value=str(GIB), timestamp=stamp)
    assert amounts(caller) == [20, 0]
    caller.cancel("a")
    assert amounts(caller) == [10, 0]
    clock.advance(timedelta(hours=1))
    assert caller.cancel("b").status == 200
    assert amounts(caller) == [10, 0]


def test_a_customer_without_a_subscription_is_not_invoiced(
    caller: Caller, clock: SettableClock, simulator: StripeSimulator
) -> None:
    caller.send("a", customer="cus_b")
    clock.set(DECEMBER)

    assert simulator.truth("cus_b").counted[0].invoices == ()
    assert caller.get("/v1/invoices", {"customer": "cus_b"}).column("id") == []


def test_invoices_are_listed_by_customer_subscription_and_status(
    caller: Caller, clock: SettableClock
) -> None:
    caller.send(value="1")
    clock.set(DECEMBER)

    assert caller.get("/v1/invoices").column("status") == ["draft", "open"]
    found = caller.get("/v1/invoices", {"status": "draft", "customer": "cus_a"})
    assert found.column("id") == ["in_sim000002"]
    by_subscription = {"subscription": "sub_sim000001", "limit": "1"}
    page = caller.get("/v1/invoices", by_subscription)
    assert (page.column("id"), page.at("has_more")) == (["in_sim000002"], True)
    assert caller.get("/v1/invoices/in_none").status == 404


def test_a_draft_can_be_finalized_by_hand(caller: Caller, clock: SettableClock) -> None:
    clock.set(NOVEMBER)
    caller.send("a", value="1", timestamp=epoch(NOVEMBER) - 1)
    path = "/v1/invoices/in_sim000001/finalize"

    assert caller.post(path).at("status") == "open"
    assert caller.post(path).status == 400


def test_a_preview_shows_the_current_period(client: stripe.StripeClient, caller: Caller) -> None:
    caller.send(value=str(3 * GIB))
    preview = client.v1.invoices.create_preview({"subscription": "sub_sim000001"})

    assert (preview.status, preview.amount_due, preview.currency) == ("draft", 30, "usd")
    assert [line.quantity for line in preview.lines.data] == [3, 0]


class TestSubscriptions:
    def test_the_library_makes_one(self, client: stripe.StripeClient, caller: Caller) -> None:
        price = caller.get("/v1/prices").text("data", 0, "id")
        made = client.v1.subscriptions.create({"customer": "cus_b", "items": [{"price": price}]})

        item = made["items"]["data"][0]
        assert (made.status, made.start_date) == ("active", epoch(START))
        assert (item["current_period_start"], item["current_period_end"]) == (
            epoch(START),
            epoch(NOVEMBER),
        )
        found = client.v1.subscriptions.list({"customer": "cus_b", "price": price}).data
        assert [subscription.id for subscription in found] == [made.id]

    def test_a_short_first_period_leads_to_the_anchor(
        self, caller: Caller, clock: SettableClock
    ) -> None:
        clock.advance(timedelta(days=9))
        price = caller.get("/v1/prices").text("data", 0, "id")
        params = {
            "customer": "cus_b",
            "items[0][price]": price,
            "billing_cycle_anchor": str(epoch(NOVEMBER)),
        }
        made = caller.post("/v1/subscriptions", params)

        assert made.at("items", "data", 0, "current_period_end") == epoch(NOVEMBER)
        clock.set(NOVEMBER)
        again = caller.get(f"/v1/subscriptions/{made.text('id')}")
        assert again.at("items", "data", 0, "current_period_end") == epoch(DECEMBER)

    def test_a_cancelled_one_is_not_billed_further(
        self, caller: Caller, clock: SettableClock
    ) -> None:
        caller.send(value="1")
        assert caller.delete("/v1/subscriptions/sub_sim000001").at("status") == "canceled"
        clock.set(DECEMBER)

        assert caller.get("/v1/invoices").column("id") == []
        assert caller.get("/v1/subscriptions").column("id") == []
        cancelled = caller.get("/v1/subscriptions", {"status": "canceled"})
        assert cancelled.column("id") == ["sub_sim000001"]
        assert caller.delete("/v1/subscriptions/sub_sim000001").status == 404

    def test_it_can_be_billed_when_it_is_cancelled(
        self, caller: Caller, clock: SettableClock
    ) -> None:
        caller.send(value="1")
        clock.advance(timedelta(days=3))
        caller.delete("/v1/subscriptions/sub_sim000001", {"invoice_now": "true"})

        invoice = caller.get("/v1/invoices/in_sim000001")
        assert (invoice.at("amount_due"), invoice.at("period_end")) == (10, epoch(clock()))

    def test_it_can_end_with_its_period(self, caller: Caller, clock: SettableClock) -> None:
        caller.post("/v1/subscriptions/sub_sim000001", {"cancel_at_period_end": "true"})
        clock.set(DECEMBER)

        assert caller.get("/v1/invoices").column("period_end") == [epoch(NOVEMBER)]
        ended = caller.get("/v1/subscriptions/sub_sim000001")
        assert (ended.at("status"), ended.at("ended_at")) == ("canceled", epoch(NOVEMBER))

    def test_a_deleted_customer_s_ends(self, caller: Caller) -> None:
        caller.delete("/v1/customers/cus_a")
        assert caller.get("/v1/subscriptions/sub_sim000001").at("status") == "canceled"

    @pytest.mark.parametrize(
        ("params", "param"),
        [
            ({"customer": "cus_none", "items[0][price]": "price_sim000001"}, "customer"),
            ({"customer": "cus_b"}, "items"),
            ({"customer": "cus_b", "items[0][price]": "price_none"}, "items[0][price]"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, caller: Caller, params: dict[str, str], param: str
    ) -> None:
        answer = caller.post("/v1/subscriptions", params)
        assert (answer.status, answer.at("error", "param")) == (400, param)


@pytest.mark.parametrize(
    ("anchor", "after", "expected"),
    [
        ("2026-10-01", "2026-10-01", "2026-11-01"),
        ("2026-01-31", "2026-01-31", "2026-02-28"),
        ("2026-01-31", "2026-02-28", "2026-03-31"),
        ("2027-12-31", "2028-01-31", "2028-02-29"),
        ("2026-11-01", "2026-10-10", "2026-11-01"),
    ],
)
def test_periods_end_on_the_anchor_s_day(anchor: str, after: str, expected: str) -> None:
    def midnight(day: str) -> int:
        return epoch(datetime.fromisoformat(day).replace(tzinfo=UTC))

    assert next_boundary(midnight(anchor), midnight(after)) == midnight(expected)


def test_invoices_are_listed_by_when_they_were_made(caller: Caller, clock: SettableClock) -> None:
    clock.set(NOVEMBER)
    made = caller.get("/v1/invoices").column("id")

    assert made == ["in_sim000001"]
    for bound, expected in (("gte", made), ("lte", made), ("gt", []), ("lt", [])):
        found = caller.get("/v1/invoices", {f"created[{bound}]": str(epoch(NOVEMBER))})
        assert found.column("id") == expected
