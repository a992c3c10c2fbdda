"""One day of a busy service: messages flow while its workers come and go."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from infra.stripe_simulator import ApiKey
from producers.queues import Queue
from tests.flow.work import Announced, announce, plant
from tests.integration.scenario import wait_until

if TYPE_CHECKING:
    from tests.integration.scenario import Process, Scenario

KEY = "sk_live_flow"
DRAIN_SECONDS = 30
# What a killed worker held is taken up soon after.
SETTINGS = {
    "SIFTBEAM_STRIPE_API_KEY": KEY,
    "SIFTBEAM_VISIBILITY_SECONDS": "15",
    "SIFTBEAM_CLAIM_SECONDS": "10",
    "SIFTBEAM_DRAIN_SECONDS": str(DRAIN_SECONDS),
}
_FEWEST, _MOST = 2, 4
_LONGEST_DAY_SECONDS = 3600.0
_START_SECONDS = 120.0
_SETTLE_SECONDS = 600.0


@dataclass(slots=True)
class Day:
    """Sends messages, and kills, drains and scales the workers until all are handled.

    Args:
        scenario: an empty world whose Stripe runs on the machine's clock.
        seed: decides what happens to which worker.
        facts: how many are billed.
        messages: how many announce them, repeats included.
        pause: the longest time between two events, in seconds.
    """

    scenario: Scenario
    seed: int
    facts: int
    messages: int
    pause: float
    done: Counter[str] = field(default_factory=Counter)
    drains: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    _chance: random.Random = field(init=False)
    _workers: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw from the seed."""
        self._chance = random.Random(self.seed)  # noqa: S311 - cases, not secrets

    def run(self) -> None:
        """Live through it; what was wrong is in `wrong`."""
        scenario, chance = self.scenario, self._chance
        keys = (ApiKey(secret=SecretStr(KEY)),)
        scenario.simulator.change_settings(api_keys=keys, other_rate_limit=None)
        facts = plant(scenario, self.facts, chance)
        sending = threading.Thread(
            target=announce,
            args=(scenario, facts, self.messages, random.Random(self.seed)),  # noqa: S311 - as above
        )
        began = time.monotonic()
        sending.start()
        self._workers = [self._spawn() for _ in range(_FEWEST + 1)]
        while sending.is_alive() or self._waiting():
            assert time.monotonic() - began < _LONGEST_DAY_SECONDS, "the day does not end"
            time.sleep(self.pause * (0.3 + 0.7 * chance.random()))
            self._happen()
        self.seconds = time.monotonic() - began
        sending.join()
        while self._workers:
            self._drain()
        self._settle()
        self._judge(facts)

    def _waiting(self) -> int:
        backlog = self.scenario.worker.backlog
        return sum(backlog.of(queue).total for queue in Queue)

    # --- What happens -------------------------------------------------------------------------

    def _happen(self) -> None:
        draw = self._chance.random()
        if draw < 0.4:
            self._kill()
        elif draw < 0.6 and len(self._workers) < _MOST:
            self.done["scaled out"] += 1
            self._workers.append(self._spawn())
        elif draw < 0.75 and len(self._workers) > _FEWEST:
            self._drain()
            self.done["scaled in"] += 1
        else:
            # A deploy: another comes, then one goes.
            self._workers.append(self._spawn())
            self._drain()
            self.done["deployed"] += 1

    def _spawn(self) -> Process:
        """A worker that has begun to consume: on a busy machine that takes a while."""
        worker = self.scenario.spawn("worker", **SETTINGS)
        wait_until(
            lambda: worker.ended() or "consumer_started" in worker.said(),
            "a worker to begin",
            within=_START_SECONDS,
        )
        return worker

    def _kill(self) -> None:
        worker = self._workers.pop(self._chance.randrange(len(self._workers)))
        if worker.ended():
            self.wrong.append(f"a worker ended by itself: {worker.said()[-2000:]}")
        worker.kill()
        worker.wait(10)
        self.done["killed"] += 1
        self._workers.append(self._spawn())

    def _drain(self) -> None:
        worker = self._workers.pop(0)
        began = time.monotonic()
        worker.terminate()
        code = worker.wait(DRAIN_SECONDS + 10)
        self.drains.append(time.monotonic() - began)
        if code or self.drains[-1] > DRAIN_SECONDS:
            self.wrong.append(
                f"a drain took {self.drains[-1]:.1f} s and ended with {code}: "
                f"{worker.said()[-2000:]}"
            )

    # --- What came of it ----------------------------------------------------------------------

    def _settle(self) -> None:
        """Let facts that wait in the ledger, for a worker died between claim and call, be sent."""
        for _ in range(5):
            states = Counter(row.get("state") for row in self.scenario.rows("billing-ledger"))
            if not states["planned"] + states["sending"] + states["unknown"]:
                return
            for command in (("resolve", "--all"), ("worker", "--drain")):
                process = self.scenario.spawn(*command, **SETTINGS)
                assert process.wait(_SETTLE_SECONDS) in {0, 1}, process.said()[-2000:]

    def _judge(self, facts: list[Announced]) -> None:
        counted = Counter(
            (event.identifier, event.customer, event.value) for event in self.scenario.counted()
        )
        wanted = Counter((fact.identifier, fact.customer, str(fact.value)) for fact in facts)
        lost, twice = wanted - counted, counted - wanted
        self.wrong += [f"not billed: {fact}" for fact in lost]
        self.wrong += [f"billed and not due, or twice: {fact}" for fact in twice]
        for queue in Queue:
            self.wrong += [
                f"a dead letter: {letter.death} {letter.body}"
                for letter in self.scenario.letters(queue)
            ]
