"""Calls to Stripe take turns: one at a time per customer and meter, and below its rate."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

from tests.unit.consumer.queue_world import SetClock
from worker.ledger.fact import Fact, FactKind, StripeAccount
from worker.stripe_api.turns import Turns

FACT = Fact(
    kind=FactKind.FILE,
    customer_id="cus_A",
    subject="run-1",
    event_name="file_processed",
    value=1,
    stamped_at=datetime(2026, 11, 1, tzinfo=UTC),
    account=StripeAccount("acct_1", livemode=False),
    origin="{}",
)
LIVE = replace(FACT, account=StripeAccount("acct_1", livemode=True))


def sent_in(turns: Turns, clock: SetClock, fact: Fact, seconds: float) -> int:
    until, sent = clock.passed + seconds, 0
    while True:
        with turns.of(fact) as had:
            assert had
            if clock.passed >= until:
                return sent
            sent += 1


def test_a_task_stays_below_its_share_of_stripe_s_rate() -> None:
    for share, fact, limit in ((100, FACT, 25), (20, FACT, 5), (100, LIVE, 1000), (50, LIVE, 500)):
        clock = SetClock()
        turns = Turns(share, clock)
        clock.sleep(3600)

        assert 0.8 * limit <= sent_in(turns, clock, fact, 1) <= limit
        assert 8.5 * limit <= sent_in(turns, clock, fact, 10) <= 10 * limit


def test_a_refusal_for_the_rate_halves_ours_for_a_while() -> None:
    clock = SetClock()
    turns = Turns(100, clock)
    sent_in(turns, clock, LIVE, 10)

    turns.slow_down(livemode=True)
    turns.slow_down(livemode=True)

    assert 200 <= sent_in(turns, clock, LIVE, 1) <= 300
    clock.sleep(60)
    assert sent_in(turns, clock, LIVE, 1) >= 800


def test_a_thousand_refusals_leave_a_trickle_and_not_a_standstill() -> None:
    clock = SetClock()
    turns = Turns(100, clock)
    for _ in range(1000):
        turns.slow_down(livemode=False)

    assert sent_in(turns, clock, FACT, 5) >= 2


def test_one_customer_and_meter_at_a_time_and_others_beside_them() -> None:
    turns = Turns(100, SetClock())
    entered, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with turns.of(FACT):
            entered.set()
            assert leave.wait(30)
            order.append("first")

    def second() -> None:
        with turns.of(FACT):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(30)
    threads[1].start()
    for other in (replace(FACT, customer_id="cus_B"), replace(FACT, event_name="storage-usage")):
        with turns.of(other) as had:
            assert had
            order.append("other")
    leave.set()
    for thread in threads:
        thread.join(30)

    assert order == ["other", "other", "first", "second"]
