from datetime import UTC, datetime

from infra.stripe_simulator import SettableClock, StripeSimulator
from tests.unit.stripe_simulator.caller import Caller


def test_it_tells_what_counts_how_often_it_was_offered_and_where_it_went(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    caller.send("a", value="007")
    caller.send("a", value="007")
    caller.send("b", value="3")
    caller.send("c", value="1", event_name="file_processed", customer="cus_b")
    clock.set(datetime(2026, 11, 1, tzinfo=UTC))
    truth = simulator.truth()

    assert [(event.identifier, event.value, event.offers) for event in truth.counted] == [
        ("a", "007", 2),
        ("b", "3", 1),
        ("c", "1", 1),
    ]
    assert [event.invoices for event in truth.counted] == [
        ("in_sim000001",),
        ("in_sim000001",),
        (),
    ]
    assert [(total.customer, total.event_name, total.value) for total in truth.totals] == [
        ("cus_a", "storage-usage", 10),
        ("cus_b", "file_processed", 1),
    ]
    assert [(line.event_name, line.usage, line.amount) for line in truth.lines] == [
        ("storage-usage", 10, 10),
        ("file_processed", 0, 0),
    ]


def test_it_can_be_asked_about_one(caller: Caller, simulator: StripeSimulator) -> None:
    caller.send("a")
    caller.send("b", customer="cus_b")
    caller.send("c", event_name="file_processed")

    of_customer = simulator.truth(customer="cus_a")
    of_meter = simulator.truth(event_name="storage-usage")
    assert [event.identifier for event in of_customer.counted] == ["a", "c"]
    assert [event.identifier for event in of_meter.counted] == ["a", "b"]


def test_a_refused_one_is_told_apart_from_a_cancelled_one(
    caller: Caller, simulator: StripeSimulator
) -> None:
    for identifier in ("a", "b", "c"):
        caller.send(identifier)
    caller.cancel("a")
    simulator.refuse("b", "archived_meter")
    truth = simulator.truth()

    assert [event.identifier for event in truth.cancelled] == ["a"]
    assert [(event.identifier, event.code) for event in truth.refused] == [("b", "archived_meter")]
    assert [event.identifier for event in truth.counted] == ["c"]


def test_the_journal_has_every_request_and_no_key(
    caller: Caller, simulator: StripeSimulator
) -> None:
    caller.send("a", idempotency_key="k1")
    caller.get("/v1/nothing")
    seen = simulator.requests()

    assert [(entry.method, entry.path, entry.status) for entry in seen] == [
        ("POST", "/v1/billing/meter_events", 200),
        ("GET", "/v1/nothing", 404),
    ]
    assert (seen[0].identifier, seen[0].idempotency_key) == ("a", "k1")
    assert "sk_test" not in repr(seen)


def test_the_same_calls_give_the_same_bytes() -> None:
    def run() -> list[bytes]:
        simulator = StripeSimulator(SettableClock(datetime(2026, 10, 1, tzinfo=UTC)))
        caller = Caller(simulator)
        made = caller.post("/v1/customers", {"name": "a"})
        return [made.response.body, caller.get("/v1/customers").response.body]

    assert run() == run()
