"""One campaign: a world, workers in it, and as many of them killed as were asked for."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from infra.stripe_simulator import (
    AcceptThen500,
    AcceptThenHang,
    AcceptThenReset,
    Delay,
    Drop,
    HangWithoutAccepting,
    LateAccept,
    Match,
    Rule,
    Status,
)
from producers.messages import Job, Tick
from producers.queues import Queue
from tests.integration.scenario import wait_until
from tests.kill.facts import Planter
from tests.kill.verdict import Verdict, judge, open_facts

if TYPE_CHECKING:
    from infra.stripe_simulator.faults import Fault
    from tests.integration.scenario import Process, Scenario
    from tests.kill.facts import ExpectedFact

# Short, so that what a dead worker held is taken up within seconds.
PATIENCE = {
    "SIFTBEAM_CLAIM_SECONDS": "2",
    "SIFTBEAM_VISIBILITY_SECONDS": "3",
    "SIFTBEAM_CONCURRENCY": "4",
    "SIFTBEAM_DRAIN_SECONDS": "5",
}
# A message waits up to a quarter of an hour for its fact's next attempt, and a drain with it.
_DRAIN_SECONDS = 1000.0
# A killed replay hides the letters it had received for a minute.
_HIDDEN_SECONDS = 100.0
_MOST_DRAINS = 12
_EVENTS = Match(method="POST", path_prefix="/v1/billing/meter_events")
UNREADABLE = '{"kind": "file_processed", "version": 1'


@dataclass(slots=True)
class Campaign:
    """Kills workers while they bill, then lets the rest be billed.

    Args:
        scenario: an empty world whose Stripe runs on the machine's clock.
        seed: what decides whom to kill, and when.
        kills: how many processes.
        workers: how many work at once.
        thorough: kill `dlq replay` and drains too, at the cost of minutes.
    """

    scenario: Scenario
    seed: int
    kills: int
    workers: int = 3
    thorough: bool = True
    done: Counter[str] = field(default_factory=Counter)
    facts: list[ExpectedFact] = field(default_factory=list)
    _chance: random.Random = field(init=False)
    _planter: Planter = field(init=False)
    _workers: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw from the seed."""
        self._chance = random.Random(self.seed)  # noqa: S311 - cases, not secrets
        self._planter = Planter(self.scenario, self._chance)

    def run(self) -> Verdict:
        """Fight it to the end; returns what came of it."""
        scenario, chance = self.scenario, self._chance
        scenario.simulator.add_faults(*self._lies())
        scenario.send(Queue.FILE_PROCESSED, UNREADABLE)
        letters = self._plant(4, letters=True) if self.thorough else []
        self._plant(6)
        self._workers = [self._spawn() for _ in range(self.workers)]
        while self.killed < self.kills:
            self._plant(chance.randint(1, 4))
            self._repeat()
            if letters and chance.random() < 0.2:
                self._kill_replay()
            elif chance.random() < 0.1:
                self._kill_all()
            else:
                self._kill_one()
        self._end_workers()
        scenario.simulator.clear_faults()
        self._bring_home()
        return judge(scenario, self.facts, self._planter.month)

    @property
    def killed(self) -> int:
        """How many processes were killed so far."""
        return sum(self.done.values())

    # --- What is planted ----------------------------------------------------------------------

    def _plant(self, count: int, *, letters: bool = False) -> list[ExpectedFact]:
        """New facts, each with one message or more; as letters, on the dead-letter queue alone."""
        planted = list(islice(self._planter.facts(), count))
        for fact in planted:
            if letters:
                sqs = self.scenario.stack.clients.sqs
                url = self.scenario.stack.queue_url(f"{fact.queue}-dlq")
                sqs.send_message(QueueUrl=url, MessageBody=fact.bodies[0])
            else:
                for _ in range(self._chance.randint(1, 3)):
                    self.scenario.send(fact.queue, self._chance.choice(fact.bodies))
        self.facts += planted
        return planted

    def _repeat(self) -> None:
        """Messages about facts that were announced before, and now and then a tick."""
        for fact in self._chance.sample(self.facts, min(3, len(self.facts))):
            self.scenario.send(fact.queue, self._chance.choice(fact.bodies))
        if self._chance.random() < 0.3:
            tick = Tick(job=Job.RESOLVE, scheduled_time=datetime.now(UTC))
            self.scenario.send(Queue.SCHEDULE, tick.body())

    def _lies(self) -> list[Rule]:
        chance = self._chance
        faults: list[tuple[float, Fault]] = [
            (0.12, AcceptThen500()),
            (0.12, AcceptThenReset()),
            (0.06, AcceptThenHang(seconds=0.3)),
            # Longer than a claim: another worker takes over while this one still waits.
            (0.06, AcceptThenHang(seconds=3)),
            (0.06, Drop()),
            (0.04, HangWithoutAccepting(seconds=1)),
            (0.06, LateAccept(seconds=1.5)),
            (0.08, Status(status=429, type="invalid_request_error", code="rate_limit")),
            (0.08, Status(status=409, type="invalid_request_error", code="lock_timeout")),
            (0.04, Status(status=500)),
            (0.5, Delay(seconds=0.2)),
        ]
        return [
            Rule(
                match=_EVENTS,
                fault=fault,
                times=None,
                probability=share,
                seed=chance.getrandbits(32),
            )
            for share, fault in faults
        ]

    # --- Who is killed ------------------------------------------------------------------------

    def _spawn(self) -> Process:
        return self.scenario.spawn("worker", **PATIENCE)

    def _moment(self) -> None:
        """Wait for the moment: some time after a call to Stripe began, or any time at all."""
        chance = self._chance
        if chance.random() < 0.6:
            asked = self._posts()
            deadline = time.monotonic() + 4
            while self._posts() == asked and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(chance.random() ** 2 * 0.4)
        else:
            time.sleep(chance.random() * 2)

    def _posts(self) -> int:
        return sum(seen.method == "POST" for seen in self.scenario.simulator.requests())

    def _kill_one(self) -> None:
        self._moment()
        victim = self._chance.randrange(len(self._workers))
        worker = self._workers[victim]
        how = "worker"
        if self._chance.random() < 0.25:
            # It has begun to stop, and dies on the way.
            how = "stopping worker"
            worker.terminate()
            time.sleep(self._chance.random())
        self._bury(worker, how)
        self._workers[victim] = self._spawn()

    def _kill_all(self) -> None:
        self._moment()
        for worker in self._workers:
            self._bury(worker, "worker")
        self._workers = [self._spawn() for _ in self._workers]

    def _kill_replay(self) -> None:
        replay = self.scenario.spawn("dlq", "replay", "--yes", "--rate", "5", **PATIENCE)
        time.sleep(1 + 2 * self._chance.random())
        self._bury(replay, "dlq replay")

    def _bury(self, process: Process, how: str) -> None:
        late = process.ended()
        process.kill()
        process.wait(10)
        if not late:
            self.done[how] += 1
        elif how == "worker":
            raise AssertionError(f"a worker ended by itself:\n{process.said()[-3000:]}")

    def _end_workers(self) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait(60)

    # --- What is left -------------------------------------------------------------------------

    def _bring_home(self) -> None:
        """Drain and resolve, killing a drain or two, until nothing waits."""
        doomed = 2 if self.thorough else 0
        for attempt in range(_MOST_DRAINS):
            if self.thorough:
                self._replay()
            resolved = self.scenario.cli("resolve", "--all", **PATIENCE)
            assert resolved.returncode in {0, 1}, resolved.stderr
            drain = self.scenario.spawn("worker", "--drain", **PATIENCE)
            if attempt < doomed:
                self._moment()
                drain.terminate()
                time.sleep(self._chance.random() * 0.5)
                self._bury(drain, "drain")
                continue
            self._finish(drain)
            if not open_facts(self.scenario, self.facts):
                return

    def _finish(self, drain: Process) -> None:
        deadline = time.monotonic() + _DRAIN_SECONDS
        while not drain.ended() and time.monotonic() < deadline:
            time.sleep(0.1)
        left = {str(queue): self.scenario.worker.backlog.of(queue) for queue in Queue}
        assert drain.ended(), f"a drain does not end: {left}\n{drain.said()[-8000:]}"
        assert drain.wait(1) == 0, drain.said()[-3000:]

    def _replay(self) -> None:
        """Replay what may be replayed, once no killed replay hides it any more."""
        backlog = self.scenario.worker.backlog
        wait_until(
            lambda: all(backlog.of_dead_letters(queue).in_flight == 0 for queue in Queue),
            "letters that a killed replay hid",
            within=_HIDDEN_SECONDS,
        )
        replayed = self.scenario.cli("dlq", "replay", "--yes", **PATIENCE)
        assert replayed.returncode in {0, 1}, replayed.stderr
