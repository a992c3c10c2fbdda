"""Run many seeds: ``python -m tests.simulation --seeds N --start S``."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.quiet import silenced
from tests.simulation.run import Result, Run
from tests.simulation.shrinking import Shrinking

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seeds that one process plays before it tells of them.
_CHUNK = 20


@dataclass(slots=True)
class Played:
    """What came of some seeds.

    Args:
        runs: how many.
        deliveries: of all of them.
        seconds: of CPU that they took.
        violations: runs that violated a rule.
        states: how facts ended.
        reached: what happened, and how often.
        lines: what is to be told.
    """

    runs: int = 0
    deliveries: int = 0
    seconds: float = 0.0
    violations: int = 0
    states: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def add(self, other: Played) -> None:
        """Count others in."""
        self.runs += other.runs
        self.deliveries += other.deliveries
        self.seconds += other.seconds
        self.violations += other.violations
        self.states += other.states
        self.reached += other.reached


def main() -> int:
    """Run the seeds; returns 1 if one of them violated a rule."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument("--history", action="store_true", help="print every run's history")
    asked = parser.parse_args()
    whole = Played()
    for played in _chunks(asked.start, asked.seeds, asked.jobs, history=asked.history):
        whole.add(played)
        _say(*played.lines)
    _say(
        f"reached: {_listed(whole.reached)}",
        f"ended: {_listed(whole.states)}",
        f"{whole.runs:,} runs, {whole.deliveries:,} deliveries, "
        f"{whole.deliveries / max(whole.seconds, 0.001):,.0f} deliveries/s, "
        f"{whole.violations:,} violations",
    )
    return 1 if whole.violations else 0


def _chunks(start: int, seeds: int, jobs: int, *, history: bool) -> Iterator[Played]:
    end = start + seeds
    chunks = [range(first, min(first + _CHUNK, end)) for first in range(start, end, _CHUNK)]
    if jobs == 1 or len(chunks) == 1:
        _prepare()
        yield from (_play(chunk, history=history) for chunk in chunks)
        return
    with ProcessPoolExecutor(jobs, initializer=_prepare) as pool:
        for under_way in [pool.submit(_play, chunk, history=history) for chunk in chunks]:
            yield under_way.result()


def _prepare() -> None:
    # What is there now stays; what a run leaves is looked for less often, which saves a sixth.
    gc.freeze()
    gc.set_threshold(10_000)


def _play(seeds: range, *, history: bool) -> Played:
    played, began = Played(), time.process_time()
    with silenced():
        for seed in seeds:
            result = Run(seed, record=history).execute()
            played.runs += 1
            played.deliveries += result.deliveries
            played.states += result.states
            played.reached += result.reached
            played.lines += result.history.lines()
            if result.violations:
                played.violations += 1
                played.lines += _least(result)
    played.seconds = time.process_time() - began
    return played


def _least(failed: Result) -> list[str]:
    """The least of a failed run that still fails."""

    def run(without: frozenset[str], *, record: bool = False) -> Result:
        return Run(failed.seed, record=record, without=without).execute()

    first = failed.violations[0]
    return [f"seed {failed.seed}: {first}", *Shrinking(run, first.rule).shrink(failed).lines()]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - what was asked for


if __name__ == "__main__":
    sys.exit(main())
