from datetime import timedelta

import pytest
import stripe

from infra.stripe_simulator import AcceptThen500, Delay, Rule, SettableClock, StripeSimulator
from tests.unit.stripe_simulator.caller import Caller


def test_a_repeat_is_replayed_and_has_no_effect(caller: Caller, simulator: StripeSimulator) -> None:
    first = caller.send(idempotency_key="k1")
    again = caller.send(idempotency_key="k1")

    assert again.response.body == first.response.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert "Idempotent-Replayed" not in first.headers
    assert [event.offers for event in simulator.truth().counted] == [1]


def test_other_parameters_under_the_same_key_are_an_error(caller: Caller) -> None:
    caller.send(value="1", idempotency_key="k1")
    answer = caller.send(value="2", idempotency_key="k1")

    assert answer.status == 400
    assert answer.at("error", "type") == "idempotency_error"


def test_a_500_is_saved_and_replayed(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=AcceptThen500()))

    assert caller.send(idempotency_key="k1").status == 500
    again = caller.send(idempotency_key="k1")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (500, "true")
    fresh = caller.send(idempotency_key="k2")
    assert fresh.at("error", "message") == "An event already exists with identifier event-1."


def test_a_refused_parameter_is_not_saved(caller: Caller, clock: SettableClock) -> None:
    ahead = int(clock().timestamp()) + 400
    assert caller.send(timestamp=ahead, idempotency_key="k1").status == 400
    clock.advance(timedelta(minutes=5))
    assert caller.send(timestamp=ahead, idempotency_key="k1").status == 200


def test_a_refusal_by_the_endpoint_is_saved_with_its_advice(caller: Caller) -> None:
    caller.send()
    caller.send(idempotency_key="k1")
    again = caller.send(idempotency_key="k1")

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Stripe-Should-Retry"] == "false"


@pytest.mark.parametrize(
    ("hours", "replayed"), [(timedelta(hours=23, minutes=59), True), (timedelta(hours=24), False)]
)
def test_answers_are_kept_for_24_hours(
    caller: Caller, clock: SettableClock, hours: timedelta, *, replayed: bool
) -> None:
    caller.send(idempotency_key="k1")
    clock.advance(hours)
    assert ("Idempotent-Replayed" in caller.send(idempotency_key="k1").headers) is replayed


def test_a_key_in_use_is_409(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=Delay(seconds=10)))
    slow = caller.post("/v1/customers", {"name": "a"}, idempotency_key="k1")
    meanwhile = caller.post("/v1/customers", {"name": "a"}, idempotency_key="k1")
    simulator.finished(slow.response)
    afterwards = caller.post("/v1/customers", {"name": "a"}, idempotency_key="k1")

    assert meanwhile.status == 409
    assert meanwhile.at("error", "type") == "idempotency_error"
    assert meanwhile.at("error", "code") == "idempotency_key_in_use"
    assert afterwards.headers["Idempotent-Replayed"] == "true"


def test_a_key_is_at_most_255_characters_long(caller: Caller) -> None:
    assert caller.send("a", idempotency_key="k" * 255).status == 200
    assert caller.send("b", idempotency_key="k" * 256).status == 400


def test_the_library_sees_an_idempotency_error(client: stripe.StripeClient) -> None:
    client.v1.customers.create({"name": "a"}, {"idempotency_key": "k1"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({"name": "b"}, {"idempotency_key": "k1"})
