from datetime import timedelta
from typing import Literal

import pytest
from pydantic import SecretStr

from infra.stripe_simulator import ApiKey, Delay, Rule, SettableClock, StripeSimulator
from tests.unit.stripe_simulator.caller import Caller


def test_a_second_has_so_many_calls(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    simulator.change_settings(sandbox_rate_limit=2)
    answers = [caller.send(f"e{number}") for number in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].at("error", "code") == "rate_limit"
    assert answers[2].headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    assert caller.get("/v1/account").status == 200
    clock.advance(timedelta(seconds=1))
    assert caller.send("e2").status == 200


def test_live_and_other_calls_have_limits_of_their_own(simulator: StripeSimulator) -> None:
    simulator.change_settings(
        api_keys=(ApiKey(secret=SecretStr("sk_live_x")),),
        sandbox_rate_limit=1,
        live_rate_limit=2,
        other_rate_limit=1,
    )
    caller = Caller(simulator, "sk_live_x")

    # No such meter: refused as such until the limit is reached.
    assert [caller.send().status for _ in range(3)] == [400, 400, 429]
    assert [caller.get("/v1/account").status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("status", [409, 429])
@pytest.mark.parametrize("code", ["too_many_concurrent_requests", "lock_timeout"])
def test_one_call_at_a_time_per_customer_and_meter(
    caller: Caller,
    simulator: StripeSimulator,
    status: Literal[409, 429],
    code: Literal["too_many_concurrent_requests", "lock_timeout"],
) -> None:
    simulator.change_settings(concurrency_status=status, concurrency_code=code)
    simulator.add_faults(Rule(fault=Delay(seconds=10)))
    slow = caller.send("a")
    refused = caller.send("b", idempotency_key="k1")

    assert (refused.status, refused.at("error", "code")) == (status, code)
    assert refused.headers["Stripe-Should-Retry"] == "true"
    assert ("Stripe-Rate-Limited-Reason" in refused.headers) is (status == 429)
    assert caller.send("c", customer="cus_b").status == 200
    assert caller.send("d", event_name="file_processed").status == 200
    simulator.finished(slow.response)
    assert caller.send("b", idempotency_key="k1").status == 200


def test_a_call_is_over_when_the_clock_says_so(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    simulator.add_faults(Rule(fault=Delay(seconds=10)))
    caller.send("a")
    clock.advance(timedelta(seconds=9))
    assert caller.send("b").status == 429
    clock.advance(timedelta(seconds=1))
    assert caller.send("b").status == 200


def test_a_call_that_was_turned_away_is_not_in_progress(
    caller: Caller, simulator: StripeSimulator
) -> None:
    simulator.add_faults(Rule(fault=Delay(seconds=10), times=2))
    slow = caller.send("a")
    turned_away = caller.send("b")
    simulator.finished(slow.response)

    assert turned_away.status == 429
    assert turned_away.response.call is None
    assert caller.send("b").status == 200
