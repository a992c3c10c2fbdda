"""A worker that has nothing to do: its start, its memory and its idling.

``python -m bench.at_rest [--seconds N]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import psutil

from bench.stand_in.process import StandIn
from producers.queues import Queue

_MB = 1_000_000
_LOOK_SECONDS = 0.05
_LIMIT_SECONDS = 60.0
_QUEUES = len(Queue)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long it is watched")
    watched: float = parser.parse_args().seconds
    with StandIn() as stand_in:
        began = time.monotonic()
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env={**os.environ, **stand_in.environment()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until_all_are_polled(worker, stand_in, began + _LIMIT_SECONDS)
            process = psutil.Process(worker.pid)
            started, at_start = time.monotonic() - began, _seconds(process)
            time.sleep(watched)
            held, idling = process.memory_info().rss, _seconds(process) - at_start
            threads = process.num_threads()
        finally:
            worker.kill()
            worker.wait()
    print(
        f"started in {started:.1f} s ({at_start:.1f} s of processor time); then, in "
        f"{watched:.0f} s: {held / _MB:.0f} MB resident, {threads} threads, "
        f"{idling / watched:.2%} of a core"
    )


def _until_all_are_polled(
    worker: subprocess.Popen[bytes], stand_in: StandIn, deadline: float
) -> None:
    while stand_in.state().counts.get("sqs ReceiveMessage", 0) < _QUEUES:
        if worker.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the worker did not start")
        time.sleep(_LOOK_SECONDS)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
