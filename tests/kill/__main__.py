"""`make kill`: campaigns one after the other, and what came of each."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter

from infra.embedded_aws import EmbeddedAws
from tests.kill.campaign import Campaign
from tests.kill.theatre import theatre


def main() -> int:
    """Fight; returns 1 where anything was billed twice, lost, or told otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="campaigns, each in a new world")
    parser.add_argument("--kills", type=int, default=50, help="processes killed in each")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the first")
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    failed = 0
    for number in range(asked.rounds):
        seed, began = asked.seed + number, time.monotonic()
        with EmbeddedAws() as aws, theatre(aws) as scenario:
            campaign = Campaign(scenario, seed, kills=asked.kills)
            verdict = campaign.run()
        total += campaign.done
        total["facts"] += len(campaign.facts)
        total["calls that reached Stripe"] += verdict.offers
        failed += bool(verdict.wrong)
        sys.stdout.write(
            f"seed {seed}: {campaign.killed} killed, {len(campaign.facts)} facts, "
            f"{verdict.events} events of {verdict.offers} offers, "
            f"{len(verdict.dead)} dead letters, {len(verdict.wrong)} wrong, "
            f"{time.monotonic() - began:.0f} s\n"
        )
        for line in verdict.wrong:
            sys.stdout.write(f"    {line}\n")
        sys.stdout.flush()
    sys.stdout.write(", ".join(f"{name} {count:,}" for name, count in sorted(total.items())) + "\n")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
