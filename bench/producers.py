"""The fan-out of one message per customer: ``python -m bench.producers [--customers N]``."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

from bench.stand_in.process import StandIn

_AT_ONCE = 5000


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    customers: int = parser.parse_args().customers
    with StandIn() as stand_in:
        for start in range(0, customers, _AT_ONCE):
            stand_in.put(
                "siftbeam-customers",
                [{"customerId": {"S": f"cus_{n:07d}"}} for n in range(start, start + _AT_ONCE)],
            )
        before, began = _cpu_seconds(), time.monotonic()
        subprocess.run(
            [sys.executable, "-c", "from worker.cli import main; main()", "enqueue", "daily"],
            env={**os.environ, **stand_in.environment()},
            check=True,
        )
        seconds = time.monotonic() - began
        calls = stand_in.state().counts
    print(
        f"{customers:,} customers: {_cpu_seconds() - before:.1f} s of processor time, "
        f"{seconds:.1f} s in all, {dict(calls)}"
    )


def _cpu_seconds() -> float:
    """Processor time of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
