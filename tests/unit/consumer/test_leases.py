"""Leases on a clock that is set: what is held stays held, and what is lost is not committed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import EndpointConnectionError

from producers.queues import Queue
from tests.unit.consumer.queue_world import TWELVE_HOURS, Bench, QueueWorld, SetClock, Told
from worker.lease import LeaseLost, check_lease, lease_lost
from worker.outcome import DeadLetter, Done, Outcome, Retry

if TYPE_CHECKING:
    from worker.consumer.leases import HeldLease
    from worker.consumer.received import ReceivedMessage

QUEUE = Queue.DAILY_SIZING


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def world(clock: SetClock) -> QueueWorld:
    return QueueWorld(clock)


def done(_: ReceivedMessage) -> Outcome:
    return Done()


def pass_time(bench: Bench, clock: SetClock, seconds: float) -> None:
    """Let time pass as the worker's renewing thread sees it."""
    until = clock.passed + seconds
    while clock.passed < until:
        clock.sleep(min(bench.leases.pause, until - clock.passed))
        bench.leases.renew_due()


# --- Consumers that let the visibility timeout pass while a handler runs -------------------------


def test_a_handler_of_six_hours_keeps_its_message(world: QueueWorld, clock: SetClock) -> None:
    bench = Bench(world, Told(done))
    world.put(QUEUE, *[str(number) for number in range(25)])
    taken = bench.receive(QUEUE, 25)

    pass_time(bench, clock, 6 * 3600)

    assert world.visible(QUEUE) == []
    assert all(lease.lost is None for _, lease in taken)
    # Every half of a minute, ten a call.
    renewals = world.calls.count("change_message_visibility_batch")
    assert 3 * 6 * 3600 / 37.5 <= renewals <= 3 * 6 * 3600 / 30


def test_a_renewal_that_fails_for_twenty_seconds_loses_nothing(
    world: QueueWorld, clock: SetClock
) -> None:
    bench = Bench(world, Told(done))
    world.put(QUEUE, "long")
    ((message, lease),) = bench.receive(QUEUE)
    pass_time(bench, clock, 29)

    def down() -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs.invalid/")

    world.before["change_message_visibility_batch"] = down
    pass_time(bench, clock, 20)
    world.before.clear()
    pass_time(bench, clock, 3600)

    assert lease.lost is None
    assert world.visible(QUEUE) == []
    bench.handling.handle(message, lease)
    bench.deletions.flush()
    assert world.waiting(QUEUE) == []


def test_a_slow_renewal_holds_up_neither_polls_nor_handlers(
    world: QueueWorld, clock: SetClock
) -> None:
    bench = Bench(world, Told(done))
    world.put(QUEUE, "held", "next")
    ((held, lease),) = bench.receive(QUEUE)
    clock.sleep(31)
    under_way, answer = threading.Event(), threading.Event()

    def slow() -> None:
        under_way.set()
        assert answer.wait(30)

    world.before["change_message_visibility_batch"] = slow
    renewing = threading.Thread(target=bench.leases.renew_due, daemon=True)
    renewing.start()
    assert under_way.wait(30)
    try:
        # On this thread, while the renewal hangs: another message, and the end of the held one
        assert bench.turn(QUEUE) == 1
        bench.handling.handle(held, lease)
        assert bench.handling.in_hand == 1
    finally:
        answer.set()
        renewing.join(30)
    assert bench.handling.in_hand == 0
    bench.deletions.flush()
    assert world.waiting(QUEUE) == []


# --- A heartbeat that overwrites a back-off ------------------------------------------------------


def test_a_heartbeat_under_way_does_not_overwrite_a_back_off(
    world: QueueWorld, clock: SetClock
) -> None:
    bench = Bench(world, Told(lambda _: Retry("later", 300)))
    world.put(QUEUE, "again")
    ((message, lease),) = bench.receive(QUEUE)
    clock.sleep(31)
    (renewal,) = bench.leases.due()

    bench.handling.handle(message, lease)
    assert "change_message_visibility" not in world.calls
    bench.leases.renew(renewal)

    (stored,) = world.waiting(QUEUE)
    assert stored.visible_at == clock.passed + 300
    pass_time(bench, clock, 250)
    assert stored.visible_at == 31 + 300


# --- Committing on a lease that was lost ---------------------------------------------------------


@pytest.mark.parametrize("outcome", [Done(), Retry("again"), DeadLetter("never")])
def test_nothing_is_settled_once_another_worker_has_the_message(
    world: QueueWorld, clock: SetClock, outcome: Outcome
) -> None:
    other = Bench(world, Told(done))

    def stalled(_: ReceivedMessage) -> Outcome:
        clock.sleep(61)
        assert len(other.receive(QUEUE)) == 1
        return outcome

    bench = Bench(world, Told(stalled))
    world.put(QUEUE, "stalled")

    bench.turn(QUEUE)

    (stored,) = world.waiting(QUEUE)
    assert (stored.receipts, stored.visible_at) == (2, 61 + 60)
    assert world.waiting(f"{QUEUE}-dlq") == []
    assert bench.handling.in_hand == 0


def test_a_handler_is_told_at_its_next_step(world: QueueWorld, clock: SetClock) -> None:
    steps: list[str] = []

    def handler(_: ReceivedMessage) -> Outcome:
        check_lease()
        steps.append("first")
        clock.sleep(61)
        check_lease()
        steps.append("second")
        return Done()

    bench = Bench(world, Told(handler))
    world.put(QUEUE, "stalled")

    bench.turn(QUEUE)

    assert steps == ["first"]
    assert len(world.waiting(QUEUE)) == 1
    # Without a message in hand there is nothing to lose.
    assert lease_lost() is None
    check_lease()


def test_a_receipt_that_sqs_no_longer_takes_is_a_lost_lease(
    world: QueueWorld, clock: SetClock
) -> None:
    bench = Bench(world, Told(done))
    world.put(QUEUE, "deleted by hand")
    ((_, lease),) = bench.receive(QUEUE)
    world.queues[QUEUE].clear()

    pass_time(bench, clock, 40)

    assert lease.lost == "SQS no longer takes its receipt: MessageNotInflight"


def test_the_check_names_why(world: QueueWorld, clock: SetClock) -> None:
    told: list[str] = []

    def handler(_: ReceivedMessage) -> Outcome:
        clock.sleep(61)
        with pytest.raises(LeaseLost) as lost:
            check_lease()
        told.append(str(lost.value))
        return Done()

    world.put(QUEUE, "stalled")
    Bench(world, Told(handler)).turn(QUEUE)

    assert told == ["its lease ran out without a renewal"]


# --- SQS's twelve hours --------------------------------------------------------------------------


@pytest.mark.parametrize("visibility", [60, 7200, TWELVE_HOURS])
def test_a_message_is_given_up_before_sqs_takes_it_away(
    world: QueueWorld, clock: SetClock, visibility: int
) -> None:
    bench = Bench(world, Told(done), visibility_seconds=visibility)
    world.put(QUEUE, "endless")
    ((_, lease),) = bench.receive(QUEUE)

    pass_time_coarsely(bench, clock, 11 * 3600)
    assert reason(lease) is None
    assert world.visible(QUEUE) == []

    while reason(lease) is None:
        clock.sleep(30)
        bench.leases.renew_due()
    assert "twelve hours" in str(reason(lease))
    # A retry of a quarter of an hour is still allowed then.
    assert clock.passed + 900 < TWELVE_HOURS
    pass_time_coarsely(bench, clock, TWELVE_HOURS)
    assert world.visible(QUEUE) == ["endless"]


def reason(lease: HeldLease) -> str | None:
    return lease.lost


def pass_time_coarsely(bench: Bench, clock: SetClock, until: float) -> None:
    while clock.passed < until:
        clock.sleep(30)
        bench.leases.renew_due()
