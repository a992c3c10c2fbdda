"""Outcomes: what becomes of a message, and that nothing of it is lost on the way."""

from __future__ import annotations

import pytest
from botocore.exceptions import ReadTimeoutError

from producers.instant import format_instant
from producers.queues import Queue
from tests.unit.consumer.queue_world import START, Bench, QueueWorld, SetClock, Told
from worker.consumer.backoff import MOST_RECEIPTS
from worker.consumer.received import FIRST_RECEIVED, ReceivedMessage
from worker.outcome import DeadLetter, Done, Outcome, Retry

QUEUE = Queue.FILE_PROCESSED
DLQ = f"{QUEUE}-dlq"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def world(clock: SetClock) -> QueueWorld:
    return QueueWorld(clock)


def no_answer() -> None:
    raise ReadTimeoutError(endpoint_url="https://sqs.invalid/")


# --- Consumers that delete before the dead letter is confirmed -----------------------------------


def test_the_original_stays_until_its_dead_letter_is_confirmed(
    world: QueueWorld, clock: SetClock
) -> None:
    bench = Bench(world, Told(lambda _: DeadLetter("never")))
    world.put(QUEUE, "dead")
    world.before["send_message"] = no_answer

    bench.turn(QUEUE)
    assert [stored.body for stored in world.waiting(QUEUE)] == ["dead"]

    world.before.clear()
    clock.sleep(61)
    bench.turn(QUEUE)
    assert world.waiting(QUEUE) == []
    (letter,) = world.waiting(DLQ)
    assert letter.attributes["errorMessage"]["StringValue"] == "never"
    assert world.calls.index("send_message") < world.calls.index("delete_message_batch")


# --- Consumers that never flush buffered deletes -------------------------------------------------


def test_what_is_done_is_deleted_though_no_batch_fills(world: QueueWorld) -> None:
    bench = Bench(world, Told(lambda _: Done()))
    world.put(QUEUE, "one", "two", "three")

    bench.turn(QUEUE)

    assert world.waiting(QUEUE) == []
    assert bench.deletions.undone == 0
    assert world.calls.count("delete_message_batch") == 1


def test_a_deletion_that_fails_is_tried_again(world: QueueWorld) -> None:
    bench = Bench(world, Told(lambda _: Done()))
    world.put(QUEUE, "one")
    attempts: list[int] = []

    def twice() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            no_answer()

    world.before["delete_message_batch"] = twice
    bench.turn(QUEUE)

    assert (len(attempts), world.waiting(QUEUE)) == (3, [])


# --- Back-off ------------------------------------------------------------------------------------


def test_a_retry_waits_by_its_visibility_and_doubles(world: QueueWorld, clock: SetClock) -> None:
    bench = Bench(world, Told(lambda _: Retry("not now")))
    world.put(QUEUE, "again")
    waits = []
    for _ in range(MOST_RECEIPTS):
        assert bench.turn(QUEUE) == 1
        (stored,) = world.waiting(QUEUE)
        waits.append(stored.visible_at - clock.passed)
        clock.passed = stored.visible_at

    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


# --- Consumers that let SQS's redrive take what only waits ---------------------------------------


def test_a_wait_that_is_not_the_message_s_fault_never_reaches_the_redrive(
    world: QueueWorld, clock: SetClock
) -> None:
    seen: list[ReceivedMessage] = []

    def wait(received: ReceivedMessage) -> Outcome:
        seen.append(received)
        return Retry("sizing goes on", 300, limited=False)

    bench = Bench(world, Told(wait))
    world.send_message(
        QueueUrl=QUEUE,
        MessageBody="waits",
        MessageAttributes={"trace": {"DataType": "String", "StringValue": "abc"}},
    )
    while len(seen) < 100:
        bench.turn(QUEUE)
        clock.sleep(60)

    assert world.waiting(DLQ) == []
    assert len(world.waiting(QUEUE)) == 1
    assert max(received.receive_count for received in seen) == MOST_RECEIPTS
    # Whoever counts the time since the first receipt still can.
    assert {received.first_received_at for received in seen} == {START}
    assert all(received.attributes.keys() == {"trace"} for received in seen)
    (stored,) = world.waiting(QUEUE)
    assert stored.attributes[FIRST_RECEIVED]["StringValue"] == format_instant(START)


def test_a_copy_that_is_not_confirmed_leaves_the_original(
    world: QueueWorld, clock: SetClock
) -> None:
    bench = Bench(world, Told(lambda _: Retry("waits", 1, limited=False)))
    world.put(QUEUE, "waits")
    while world.waiting(QUEUE)[0].receipts < MOST_RECEIPTS - 1:
        bench.turn(QUEUE)
        clock.sleep(2)
    world.before["send_message"] = no_answer

    bench.turn(QUEUE)

    (stored,) = world.waiting(QUEUE)
    assert (stored.body, stored.receipts) == ("waits", MOST_RECEIPTS)


# --- Back-pressure and the drain -----------------------------------------------------------------


def test_what_has_not_begun_goes_back_at_once(world: QueueWorld) -> None:
    told = Told(lambda _: Done())
    bench = Bench(world, told)
    world.put(QUEUE, "one", "two")

    for message, lease in bench.receive(QUEUE, 10):
        bench.handling.give_back(message, lease)

    assert sorted(world.visible(QUEUE)) == ["one", "two"]
    assert (told.handled, bench.handling.in_hand) == ([], 0)
