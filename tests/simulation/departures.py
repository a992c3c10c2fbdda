"""Customers who leave: their subscription ends, at times because they are deleted in Stripe.

Deleting a customer ends its subscriptions at once (https://docs.stripe.com/api/customers/delete).
Usage of a deleted customer is taken and refused later; usage after a subscription's end is counted
and on no invoice.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.weather import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.faults import Schedule
    from tests.simulation.scenario import Scenario

# The share of customers who leave; of these, the share who are deleted in Stripe.
_LEAVES = 0.06
_DELETED = 0.5


@dataclass(frozen=True, slots=True)
class Departure:
    """How a customer leaves. Times are epoch seconds.

    Args:
        ends_at: when the subscription ends, and where ``deleted`` the customer is deleted.
        deleted: whether the customer is deleted then.
        hides: whether Stripe's summaries show nothing of a deleted customer any more. Its
            documentation does not say.
        billed_through: whether an operator bills the last month up to the last day.
    """

    ends_at: float
    deleted: bool
    hides: bool
    billed_through: bool


def departures_of(
    seed: int, customers: Iterable[str], scenario: Scenario, schedule: Schedule
) -> dict[str, Departure]:
    """Who leaves in a run, and how."""
    found = {}
    for customer in customers:
        rng = random.Random(f"{seed} departure {customer}")  # noqa: S311 - has to repeat itself
        leaves, ends_at = rng.random() < _LEAVES, scenario.start + rng.random() * 4 * DAY
        deleted, hides = rng.random() < _DELETED, rng.random() < _DELETED
        through = rng.random() < _DELETED
        if leaves and schedule.takes(f"{customer} {'is deleted' if deleted else 'leaves'}"):
            ends_at = float(int(ends_at))
            found[customer] = Departure(ends_at, deleted, deleted and hides, through)
    return found
