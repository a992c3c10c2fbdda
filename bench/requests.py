"""Requests to AWS and Stripe per million facts, beside the Step Functions sketch's.

``python -m bench.requests [--messages N]``

Ours are counted at a full queue; the sketch's are those of its definition
(:mod:`worker.cost.sketch`), for customers with one page of objects.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench import daily_sizing, file_processed, monthly_billing
from bench.rounds import arguments, play
from bench.stand_in.process import StandIn
from worker.cost.sketch import STATES_A_DAY, STATES_A_MONTH


@dataclass(frozen=True, slots=True)
class Sketched:
    """What the sketch asks for, per fact.

    Args:
        states: transitions.
        aws: requests to S3, DynamoDB and Secrets Manager.
        stripe: requests to Stripe.
    """

    states: int
    aws: int
    stripe: int


# Two listings and a row; a query, the key, a row and a mark. It bills storage only.
_BESIDE = (
    ("customers sized for a day", daily_sizing, Sketched(STATES_A_DAY, 3, 0)),
    ("customers' months billed", monthly_billing, Sketched(STATES_A_MONTH, 4, 1)),
    ("processed files billed", file_processed, None),
)


def main() -> None:
    """Run and print."""
    asked = arguments(__doc__, rounds=1, messages=1000)
    print("| a million | AWS | Stripe | sketch: states | AWS | Stripe |")
    print("|---|---:|---:|---:|---:|---:|")
    with StandIn() as stand_in:
        for what, bench, sketched in _BESIDE:
            ours = [each for each in bench.contenders() if each.name == bench.OURS]
            [standing] = play(ours, stand_in, asked, aloud=False)
            found = standing.median
            beside = (
                "none | none | none"
                if sketched is None
                else f"{sketched.states:.2f} | {sketched.aws:.2f} | {sketched.stripe:.2f}"
            )
            print(
                f"| {what} | {found.calls_of('sqs', 'dynamodb', 's3'):.2f} "
                f"| {found.calls_of('stripe'):.2f} | {beside} |"
            )
    print("\nin millions")


if __name__ == "__main__":
    main()
