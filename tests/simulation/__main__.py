"""Run many seeds: ``python -m tests.simulation --seeds N --start S``."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter

from tests.simulation.quiet import silenced
from tests.simulation.run import Result, Run
from tests.simulation.shrinking import Shrinking


def main() -> int:
    """Run the seeds; returns 1 if one of them violated a rule."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--history", action="store_true", help="print every run's history")
    arguments = parser.parse_args()
    with silenced():
        return _run(arguments.start, arguments.seeds, history=arguments.history)


def _run(start: int, seeds: int, *, history: bool) -> int:
    # What is there now stays; what a run leaves is looked for less often, which saves a sixth.
    gc.freeze()
    gc.set_threshold(10_000)
    began = time.process_time()
    deliveries = violations = 0
    states: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    for seed in range(start, start + seeds):
        result = Run(seed, record=history).execute()
        deliveries += result.deliveries
        states += result.states
        reached += result.reached
        violations += len(result.violations) > 0
        if history:
            print("\n".join(result.history.lines()))  # noqa: T201
        if result.violations:
            _tell(result)
    seconds = time.process_time() - began
    print("reached:", _listed(reached))  # noqa: T201
    print("ended:", _listed(states))  # noqa: T201
    print(  # noqa: T201
        f"{seeds:,} runs, {deliveries:,} deliveries, "
        f"{deliveries / seconds:,.0f} deliveries/s, {violations:,} violations"
    )
    return 1 if violations else 0


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _tell(failed: Result) -> None:
    """Print the least of a failed run that still fails."""
    first = failed.violations[0]
    print(f"seed {failed.seed}: {first}; shrinking ...", flush=True)  # noqa: T201

    def run(without: frozenset[str], *, record: bool = False) -> Result:
        return Run(failed.seed, record=record, without=without).execute()

    for line in Shrinking(run, first.rule).shrink(failed).lines():
        print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
