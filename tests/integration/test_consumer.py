"""The consumer against a real queue: nothing is lost, nothing is held too long."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import DEFAULT_KEY, Delay, Match, Outage, Rule, RunningClock
from producers.queues import Queue
from tests.integration.scenario import Scenario, bill_body, last_month, size_body, wait_until
from worker.consumer.backoff import LONGEST_SECONDS, Backoff
from worker.consumer.consumer import Consumer, Pace, SideThreadDied
from worker.lease import LeaseLost, check_lease, held_by
from worker.outcome import DeadLetter, Done, Outcome, Retry
from worker.stripe_api.api_key import FIELD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.circuit import Gate
    from worker.consumer.received import ReceivedMessage

QUEUE = Queue.DAILY_SIZING

# Sends itself SIGTERM while the main thread holds the lock of an event that it waits on.
SIGNALLED = """
import os, signal, sys, threading

def trace(frame, event, argument):
    if frame.f_code is threading.Condition.wait.__code__ and frame.f_back.f_back.f_code in MAIN:
        sys.settrace(None)
        print("signal sent", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

from worker.cli import main
from worker.consumer.consumer import Consumer
MAIN = {method.__code__ for method in vars(Consumer).values() if hasattr(method, "__code__")}
sys.settrace(trace)
main()
"""


# A handler that never comes back.
HUNG = """
import threading
from worker.handlers.bill_month import BillMonthHandler
from worker.cli import main

def hang(self, message):
    print("hangs", flush=True)
    threading.Event().wait()

BillMonthHandler.handle = hang
main()
"""


class Told:
    """A dispatch that does what the test says, and remembers what it was given."""

    def __init__(self, act: Callable[[ReceivedMessage], Outcome]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self.begun: list[str] = []
        self.finished: list[str] = []

    def handle(self, received: ReceivedMessage) -> Outcome:
        with self._lock:
            self.begun.append(received.body)
        outcome = self._act(received)
        with self._lock:
            self.finished.append(received.body)
        return outcome


class Running:
    """A consumer in a thread."""

    def __init__(
        self, scenario: Scenario, told: Told, *, until_empty: bool = False, **pace: int
    ) -> None:
        self.consumer = self.of(
            scenario, told, scenario.worker.gate, until_empty=until_empty, **pace
        )
        self.result: list[bool] = []
        self._thread = threading.Thread(
            target=lambda: self.result.append(self.consumer.run()), daemon=True
        )
        self._thread.start()

    @staticmethod
    def of(
        scenario: Scenario,
        told: Told,
        gate: Gate,
        *,
        until_empty: bool = False,
        **pace: int,
    ) -> Consumer:
        worker = scenario.worker
        return Consumer(
            sqs=worker.clients.sqs,
            queues=worker.queues,
            consumed=(QUEUE,),
            dispatch=told,  # type: ignore[arg-type]  # has what the consumer asks of a dispatch
            gate=gate,
            backoff=Backoff(lambda: 0.0),
            clock=scenario.clock,
            pace=Pace(
                concurrency=pace.get("concurrency", 4),
                visibility_seconds=pace.get("visibility_seconds", 30),
                drain_seconds=pace.get("drain_seconds", 20),
                until_empty=until_empty,
            ),
        )

    def end(self) -> bool:
        """Wait for its end; what `run` returned."""
        self._thread.join(30)
        assert self.result, "the consumer did not end"
        return self.result[0]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds handlers until it is set; set at the end whatever happens."""
    made = threading.Event()
    yield made
    made.set()


def held_until(gate: threading.Event) -> Outcome:
    gate.wait(30)
    return Done()


def send(scenario: Scenario, *bodies: str) -> None:
    for body in bodies:
        scenario.send(QUEUE, body)


def test_a_handler_in_hand_is_finished_and_the_rest_stays(
    scenario: Scenario, gate: threading.Event
) -> None:
    told = Told(lambda _: held_until(gate))
    bodies = [f"message {number}" for number in range(6)]
    send(scenario, *bodies)
    running = Running(scenario, told, until_empty=True, concurrency=2)
    wait_until(lambda: len(told.begun) == 2, "two handlers")

    running.consumer.stop()
    gate.set()

    assert running.end() is True
    assert sorted(told.finished) == sorted(told.begun)
    left = scenario.bodies(QUEUE)
    assert sorted([*told.finished, *left]) == bodies
    assert len(left) == 4


def test_what_comes_with_a_poll_after_the_signal_is_given_back(scenario: Scenario) -> None:
    told = Told(lambda _: Done())
    polls: list[str] = []
    events = scenario.stack.clients.sqs.meta.events
    event = "before-send.sqs.ReceiveMessage"
    events.register(event, lambda **_: polls.append("poll"), unique_id="polls")
    try:
        send(scenario, "first")
        running = Running(scenario, told)
        # The second poll is a long one: it is under way when the signal comes.
        wait_until(lambda: told.finished == ["first"] and len(polls) > 1, "the second poll")
        running.consumer.stop()
        send(scenario, "late")
        assert running.end() is True
    finally:
        events.unregister(event, unique_id="polls")

    assert told.begun == ["first"]
    assert scenario.bodies(QUEUE) == ["late"]


def test_a_handler_that_takes_too_long_is_left_to_another_delivery(
    scenario: Scenario, gate: threading.Event
) -> None:
    told = Told(lambda _: held_until(gate))
    send(scenario, "slow")
    running = Running(scenario, told, until_empty=True, drain_seconds=1, visibility_seconds=2)
    wait_until(lambda: told.begun == ["slow"], "the handler")

    running.consumer.stop()

    assert running.end() is False
    wait_until(lambda: scenario.worker.backlog.of(QUEUE).visible == 1, "the lease to end")


def test_work_that_outlasts_the_drain_stops_at_its_next_step_and_goes_back(
    scenario: Scenario,
) -> None:
    def step_by_step(_: ReceivedMessage) -> Outcome:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            check_lease()
            time.sleep(0.02)
        return Done()

    told = Told(step_by_step)
    send(scenario, "endless")
    running = Running(scenario, told, until_empty=True, drain_seconds=4)
    wait_until(lambda: told.begun == ["endless"], "the handler")

    running.consumer.stop()

    assert running.end() is True
    assert told.finished == []
    assert scenario.bodies(QUEUE) == ["endless"]


def test_no_more_is_received_than_can_be_started(scenario: Scenario, gate: threading.Event) -> None:
    told = Told(lambda _: held_until(gate))
    send(scenario, *[str(number) for number in range(12)])
    running = Running(scenario, told, concurrency=3, until_empty=True)
    wait_until(lambda: len(told.begun) == 3, "three handlers")
    polls: list[str] = []
    events = scenario.stack.clients.sqs.meta.events
    event = "before-send.sqs.ReceiveMessage"
    events.register(event, lambda **_: polls.append("poll"), unique_id="polls")
    try:
        # A look at the gate later, nothing has been asked for: no hand is free.
        assert not gate.wait(1.2)
        assert polls == []
        assert scenario.worker.backlog.of(QUEUE).in_flight == 3
    finally:
        events.unregister(event, unique_id="polls")
    gate.set()

    assert running.end() is True
    assert len(told.finished) == 12
    assert len(set(told.begun)) == 12


class BrokenGate:
    """A gate with a defect."""

    def lets_through(self, _: Queue) -> bool:
        return True

    def tend(self) -> None:
        raise ZeroDivisionError("a defect")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_side_thread_that_dies_ends_the_worker_with_its_name(scenario: Scenario) -> None:
    consumer = Running.of(scenario, Told(lambda _: Done()), BrokenGate())

    with pytest.raises(SideThreadDied, match="thread gate ended by itself"):
        consumer.run()


def test_a_lease_is_renewed_while_its_handler_runs(
    scenario: Scenario, gate: threading.Event
) -> None:
    told = Told(lambda _: held_until(gate))
    send(scenario, "slow")
    running = Running(scenario, told, until_empty=True, visibility_seconds=2)
    wait_until(lambda: told.begun == ["slow"], "the handler")

    # Three leases long, no other receiver may see it.
    until = time.monotonic() + 6
    while time.monotonic() < until:
        assert scenario.worker.backlog.of(QUEUE).visible == 0
        gate.wait(0.1)
    gate.set()

    assert running.end() is True
    assert told.begun == ["slow"]
    assert scenario.waiting(QUEUE) == 0


def test_a_drain_ends_when_delayed_and_returned_messages_are_done(scenario: Scenario) -> None:
    tried: list[str] = []

    def once_more(received: ReceivedMessage) -> Outcome:
        if received.body == "again" and received.receive_count < 3:
            return Retry("not yet", 1)
        tried.append(received.body)
        return Done()

    send(scenario, "again", "at once")
    scenario.stack.clients.sqs.send_message(
        QueueUrl=scenario.stack.queue_url(QUEUE), MessageBody="delayed", DelaySeconds=3
    )
    running = Running(scenario, Told(once_more), until_empty=True)

    assert running.end() is True
    assert sorted(tried) == ["again", "at once", "delayed"]
    assert scenario.waiting(QUEUE) == 0
    assert scenario.letters(QUEUE) == []


def test_only_what_is_done_is_deleted_and_by_batches(scenario: Scenario) -> None:
    deleted: list[int] = []

    def note(params: dict[str, list[object]], **_: object) -> None:
        deleted.append(len(params["Entries"]))

    events = scenario.stack.clients.sqs.meta.events
    event = "provide-client-params.sqs.DeleteMessageBatch"
    events.register(event, note, unique_id="deleted")

    def odd_ones(received: ReceivedMessage) -> Outcome:
        if int(received.body) % 2:
            return Done()
        return DeadLetter("even") if int(received.body) % 4 else Retry("later", 60)

    try:
        send(scenario, *[str(number) for number in range(24)])
        told = Told(odd_ones)
        running = Running(scenario, told, concurrency=10, until_empty=True)
        wait_until(lambda: len(told.finished) == 24, "all")
        running.consumer.stop()
        assert running.end() is True
    finally:
        events.unregister(event, unique_id="deleted")

    assert sum(deleted) == 18
    assert max(deleted) <= 10
    assert len(deleted) < 18
    assert sorted(int(letter.body) for letter in scenario.letters(QUEUE)) == list(range(2, 24, 4))
    assert scenario.waiting(QUEUE) == 6


def test_a_defect_costs_a_message_its_turns_and_not_the_worker(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = scenario.installation()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    worker.measuring = broken  # type: ignore[method-assign,assignment]  # the defect
    body = size_body("cus_A", "2026-11-01")

    for receipts in range(1, 5):
        outcome = scenario.handle(body, worker=worker, queue=QUEUE, receipts=receipts)
        assert isinstance(outcome, Retry), receipts
    outcome = scenario.handle(body, worker=worker, queue=QUEUE, receipts=5)

    assert outcome == DeadLetter("gave up after 5 receipts: ZeroDivisionError: a defect", "GaveUp")
    assert "handler_failed" in "".join(capsys.readouterr())


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_pause_grows_and_is_bounded(chance: float) -> None:
    pauses = [Backoff(lambda: chance).seconds(count) for count in range(1, 100)]

    assert pauses == sorted(pauses)
    assert min(pauses) >= 1
    assert max(pauses) <= LONGEST_SECONDS
    assert pauses[-1] == max(1, round(LONGEST_SECONDS * chance))


def test_after_twelve_receipts_the_reason_is_on_the_dead_letter_queue(scenario: Scenario) -> None:
    worker = scenario.installation(bucket="there-is-no-such-bucket")
    body = size_body("cus_A", scenario.wall().date().isoformat())
    send(scenario, body)
    sqs, url = scenario.stack.clients.sqs, scenario.stack.queue_url(QUEUE)
    for _ in range(11):
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]
        sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )

    scenario.drain(QUEUE, worker=worker)

    (letter,) = scenario.letters(QUEUE)
    assert (letter.body, letter.error_type) == (body, "GaveUp")
    assert letter.reason.startswith("gave up after 12 receipts: ")
    assert "NoSuchBucket" in letter.reason
    assert letter.death is not None
    assert letter.death.receive_count == 12


class TestProcess:
    """The signal that ECS sends."""

    @pytest.fixture
    def wall(self) -> RunningClock:
        return RunningClock()

    def test_sigterm_finishes_what_is_in_hand_and_ends_with_0(self, scenario: Scenario) -> None:
        month = str(last_month())
        customers = [f"cus_{number}" for number in range(12)]
        scenario.customers(*customers)
        posts = Match(method="POST")
        scenario.simulator.add_faults(Rule(match=posts, fault=Delay(seconds=1.5), times=None))
        for customer in customers:
            scenario.month(customer, month, [5])
            scenario.send(Queue.MONTHLY_BILLING, bill_body(customer, month))
        worker = scenario.spawn("worker", "--queue", "monthly-billing", SIFTBEAM_CONCURRENCY="2")
        wait_until(lambda: bool(scenario.counted()), "the first call")

        worker.terminate()

        assert worker.wait(30) == 0
        began = {event.customer for event in scenario.counted()}
        assert 1 <= len(began) < len(customers)
        states = {row["customerId"]: row["state"] for row in scenario.rows("billing-ledger")}
        assert states == dict.fromkeys(began, "sent")
        left = scenario.bodies(Queue.MONTHLY_BILLING)
        assert sorted(left) == sorted(
            bill_body(customer, month) for customer in customers if customer not in began
        )

    def test_a_handler_that_hangs_cannot_hold_up_the_end(self, scenario: Scenario) -> None:
        month = str(last_month())
        scenario.customers("cus_A")
        scenario.month("cus_A", month, [5])
        scenario.send(Queue.MONTHLY_BILLING, bill_body("cus_A", month))
        worker = scenario.start(
            scenario.environment(SIFTBEAM_DRAIN_SECONDS="2"),
            "worker",
            "--queue",
            "monthly-billing",
            command=HUNG,
        )
        scenario.wait_for(worker, "hangs")

        worker.terminate()

        assert worker.wait(60) == 1
        assert "drain_incomplete" in worker.said()

    def test_a_signal_that_meets_a_held_lock_stops_the_worker_all_the_same(
        self, scenario: Scenario
    ) -> None:
        worker = scenario.start(
            scenario.environment(), "worker", "--drain", "--queue", "schedule", command=SIGNALLED
        )

        assert worker.wait(30) == 0, worker.said()
        assert "signal sent" in worker.said()


# --- Committing on a lease that was lost ----------------------------------------------------------


class LosesAt:
    """A lease that is lost from so many looks on."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    @property
    def lost(self) -> str | None:
        self._left -= 1
        return "the test took it" if self._left < 0 else None


def test_a_lease_lost_at_any_step_stops_the_billing_there_and_another_delivery_ends_it(
    scenario: Scenario,
) -> None:
    told: list[bool] = []
    for looks in range(20):
        customer = f"cus_{looks}"
        scenario.customers(customer)
        scenario.month(customer, "2026-10", [5, 5])
        try:
            with held_by(LosesAt(looks)):
                scenario.handle(bill_body(customer))
        except LeaseLost:
            told.append(True)
        else:
            told.append(False)
        if looks == 0:
            assert scenario.fact(f"storage-usage#{customer}#2026-10") is None
        row = scenario.month_of(customer, "2026-10")
        assert told[-1] is (row is None), looks

        assert isinstance(scenario.finish(bill_body(customer)), Done)
        billed = scenario.month_of(customer, "2026-10")
        assert billed is not None
        assert billed["billingStatus"] == "billed"
        assert {day["billingStatus"] for day in scenario.days_of(customer)} == {"billed"}
        assert len(scenario.counted(customer)) == 1
        if not told[-1]:
            break

    # Frozen, settled, claimed, called, the days, the month: it is asked before each.
    assert told == [True] * 6 + [False]


# --- The circuit ------------------------------------------------------------------------------


def test_during_an_outage_messages_stay_on_their_queue_and_are_billed_after(
    scenario: Scenario,
) -> None:
    scenario.customers("cus_A", "cus_B")
    for customer in ("cus_A", "cus_B"):
        scenario.month(customer, "2026-10", [5])
    scenario.simulator.add_faults(Rule(fault=Outage(status=503), times=None))
    scenario.send(Queue.MONTHLY_BILLING, bill_body("cus_A"))
    worker = scenario.installation()
    consumer = worker.consumer((Queue.MONTHLY_BILLING, Queue.DAILY_SIZING), until_empty=True)
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(consumer.run()), daemon=True)
    thread.start()
    try:
        # Given a worker that has met the outage
        wait_until(lambda: worker.circuit.is_open, "the circuit to open")

        # When more comes, only what needs no Stripe is done
        scenario.send(Queue.MONTHLY_BILLING, bill_body("cus_B"))
        scenario.send(Queue.DAILY_SIZING, size_body("cus_A", "2026-11-01"))
        wait_until(lambda: scenario.waiting(Queue.DAILY_SIZING) == 0, "the sizing")
        assert scenario.waiting(Queue.MONTHLY_BILLING) == 2
        assert scenario.letters(Queue.MONTHLY_BILLING) == []

        # Then Stripe is back, and all of it is billed
        scenario.simulator.clear_faults()
        thread.join(60)
        assert done == [True]
    finally:
        consumer.stop()
        thread.join(30)
    assert len(scenario.counted()) == 2


def test_a_rotated_key_is_picked_up_without_a_restart(scenario: Scenario) -> None:
    def store(key: str) -> None:
        scenario.stack.clients.secrets.put_secret_value(
            SecretId=scenario.stack.secret_id, SecretString=json.dumps({FIELD: key})
        )

    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [5])
    store("sk_test_revoked")
    worker = scenario.installation(stripe_api_key=None)

    # Given a worker whose key Stripe refuses
    assert isinstance(scenario.handle(bill_body("cus_A"), worker=worker), Retry)
    assert not worker.gate.lets_through(Queue.MONTHLY_BILLING)

    # When the secret holds another
    store(DEFAULT_KEY)

    def closed() -> bool:
        worker.gate.tend()
        return not worker.circuit.is_open

    wait_until(closed, "the probe")

    # Then the same worker bills
    assert worker.gate.lets_through(Queue.MONTHLY_BILLING)
    assert isinstance(scenario.finish(bill_body("cus_A"), worker=worker), Done)
    assert len(scenario.counted()) == 1


# An idle worker took twenty seconds to stop, however little time it was given.


def test_a_worker_with_little_time_to_stop_polls_shorter(scenario: Scenario) -> None:
    process = scenario.spawn("worker", "--queue", "daily-sizing", SIFTBEAM_DRAIN_SECONDS="4")
    scenario.send(Queue.DAILY_SIZING, size_body("cus_A", "2026-11-01"))
    try:
        wait_until(lambda: scenario.waiting(Queue.DAILY_SIZING) == 0, "the worker to be at work")
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
