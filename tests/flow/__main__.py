"""`make flow`: one long day, and what came of it."""

from __future__ import annotations

import argparse
import secrets
import sys

from infra.embedded_aws import EmbeddedAws
from tests.flow.day import Day
from tests.kill.theatre import theatre


def main() -> int:
    """Live through it; returns 1 where anything was lost, billed twice, or drained too slowly."""
    parser = argparse.ArgumentParser(prog="python -m tests.flow", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="sent, repeats included")
    parser.add_argument("--facts", type=int, default=10_000, help="that they announce")
    parser.add_argument("--pause", type=float, default=20.0, help="seconds between events, at most")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="what happens when")
    asked = parser.parse_args()
    with EmbeddedAws() as aws, theatre(aws) as scenario:
        day = Day(scenario, asked.seed, asked.facts, asked.messages, asked.pause)
        sys.stdout.write(f"seed {asked.seed}: {asked.messages} messages of {asked.facts} facts\n")
        sys.stdout.flush()
        day.run()
    happened = ", ".join(f"{name} {count}" for name, count in sorted(day.done.items()))
    sys.stdout.write(
        f"{day.seconds:.0f} s, {asked.messages / day.seconds:.0f} messages a second; {happened}; "
        f"{len(day.drains)} drains, the longest {max(day.drains):.1f} s; {len(day.wrong)} wrong\n"
    )
    for line in day.wrong[:50]:
        sys.stdout.write(f"    {line}\n")
    return min(len(day.wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
