from datetime import timedelta

import pytest
from pydantic import ValidationError

from infra.stripe_simulator import (
    AcceptThen500,
    AcceptThenHang,
    AcceptThenReset,
    Delay,
    Deliver,
    Drop,
    Hang,
    HangWithoutAccepting,
    LateAccept,
    Match,
    Outage,
    Reset,
    Rule,
    SettableClock,
    Status,
    StripeSimulator,
)
from tests.unit.stripe_simulator.caller import Caller


def counted(simulator: StripeSimulator) -> list[str]:
    return [event.identifier for event in simulator.truth().counted]


def test_accept_then_500(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=AcceptThen500()))

    assert caller.send().status == 500
    assert counted(simulator) == ["event-1"]


def test_accept_then_hang(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=AcceptThenHang(seconds=7)))

    assert caller.send().response.delivery == Hang(7)
    assert counted(simulator) == ["event-1"]


def test_accept_then_reset_keeps_the_answer_for_the_key(
    caller: Caller, simulator: StripeSimulator
) -> None:
    simulator.add_faults(Rule(fault=AcceptThenReset()))

    assert caller.send(idempotency_key="k1").response.delivery == Reset()
    assert counted(simulator) == ["event-1"]
    assert caller.send(idempotency_key="k1").status == 200


@pytest.mark.parametrize(
    ("fault", "delivery"),
    [(Drop(), Reset()), (HangWithoutAccepting(seconds=3), Hang(3)), (Outage(), Reset())],
)
def test_without_accepting(
    caller: Caller,
    simulator: StripeSimulator,
    fault: Drop | HangWithoutAccepting | Outage,
    delivery: Hang | Reset,
) -> None:
    simulator.add_faults(Rule(fault=fault))

    assert caller.send().response.delivery == delivery
    assert counted(simulator) == []
    assert simulator.requests()[-1].status is None


def test_delay_takes_effect_on_arrival(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=Delay(seconds=2)))
    answer = caller.send()

    assert (answer.status, answer.response.delivery) == (200, Deliver(2))
    assert counted(simulator) == ["event-1"]


def test_late_accept_takes_effect_later_and_then_at_that_time(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    simulator.add_faults(Rule(fault=LateAccept(seconds=60)))
    assert caller.send().response.delivery == Reset()

    clock.advance(timedelta(seconds=59))
    assert counted(simulator) == []
    clock.advance(timedelta(hours=1))
    (event,) = simulator.truth().counted
    assert event.received_at == int(clock().timestamp()) - 3599
    assert [seen.delivery for seen in simulator.requests()] == ["reset", "late"]


def test_a_late_one_that_was_sent_again_meanwhile_is_a_duplicate(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    simulator.add_faults(Rule(fault=LateAccept(seconds=60)))
    caller.send()
    assert caller.send().status == 200
    clock.advance(timedelta(minutes=2))

    assert [event.offers for event in simulator.truth().counted] == [2]


def test_status_answers_what_it_is_told_and_does_nothing(
    caller: Caller, simulator: StripeSimulator
) -> None:
    simulator.add_faults(
        Rule(
            fault=Status(
                status=429,
                code="rate_limit",
                headers={"Stripe-Rate-Limited-Reason": "global-rate"},
            )
        )
    )
    answer = caller.send()

    assert (answer.status, answer.at("error", "code")) == (429, "rate_limit")
    assert answer.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    assert counted(simulator) == []


@pytest.mark.parametrize("saved", [True, False])
def test_status_may_be_saved_for_the_key(
    caller: Caller, simulator: StripeSimulator, *, saved: bool
) -> None:
    simulator.add_faults(Rule(fault=Status(status=503, saved=saved)))
    caller.send(idempotency_key="k1")
    assert caller.send(idempotency_key="k1").status == (503 if saved else 200)


def test_an_outage_lasts_until_it_is_cleared(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=Outage(status=503)))

    assert [caller.send().status for _ in range(5)] == [503] * 5
    simulator.clear_faults()
    assert caller.send().status == 200


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        (Match(), True),
        (Match(method="POST", path_prefix="/v1/billing/"), True),
        (Match(method="GET"), False),
        (Match(path_prefix="/v1/customers"), False),
        (Match(identifier_prefix="event-"), True),
        (Match(identifier_prefix="other-"), False),
        (Match(customer="cus_a"), True),
        (Match(customer="cus_b"), False),
        (Match(customer="cus_a", identifier_prefix="other-"), False),
    ],
)
def test_a_rule_strikes_what_it_matches(
    caller: Caller, simulator: StripeSimulator, match: Match, *, struck: bool
) -> None:
    simulator.add_faults(Rule(fault=Drop(), match=match))
    assert (caller.send().response.delivery == Reset()) is struck


def test_a_rule_skips_and_counts(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=Status(status=500), skip=1, times=2))
    statuses = [caller.send(f"e{number}").status for number in range(5)]
    assert statuses == [200, 500, 500, 200, 200]


def test_the_first_rule_that_strikes_wins(caller: Caller, simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=Status(status=500)), Rule(fault=Status(status=503)))
    assert [caller.send(f"e{number}").status for number in range(3)] == [500, 503, 200]


def test_chance_repeats_with_its_seed(caller: Caller, simulator: StripeSimulator) -> None:
    runs = []
    for seed in (1, 1, 2):
        simulator.clear_faults()
        simulator.add_faults(Rule(fault=Status(status=500), times=None, probability=0.5, seed=seed))
        runs.append([caller.get("/v1/account").status for _ in range(64)])

    assert runs[0] == runs[1] != runs[2]
    assert {200, 500} == set(runs[0])


def test_a_kind_alone_will_do_as_json() -> None:
    assert Rule.model_validate({"fault": "drop"}).fault == Drop()
    with pytest.raises(ValidationError):
        Rule.model_validate({"fault": "explode"})
    with pytest.raises(ValidationError):
        Rule.model_validate({"fault": {"kind": "drop", "seconds": 1}})


def test_a_cancellation_that_takes_effect_after_the_invoice_is_final_leaves_it(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    clock.advance(timedelta(days=31, minutes=-1))
    caller.send(value="1")
    simulator.add_faults(Rule(fault=LateAccept(seconds=2 * 3600)))
    caller.cancel("event-1")
    # The invoice's end and the cancellation pass between two looks: their order must hold.
    clock.advance(timedelta(days=1))
    truth = simulator.truth()

    assert [event.identifier for event in truth.cancelled] == ["event-1"]
    assert [line.usage for line in truth.lines] == [1, 0]
