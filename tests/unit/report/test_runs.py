"""Runs come from a pass over the ledger in no order, and are told in theirs."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from tests.unit.report.months import OCTOBER, run_item
from worker.ledger.item import State
from worker.statement.runs import RunTally


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_runs_are_added_does_not_matter(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's
    states = (State.CONFIRMED, State.INVOICED, State.REFUSED, State.SKIPPED)
    items = [
        run_item(
            "cus_A",
            f"run-{number:03}",
            number,
            states[number % len(states)],
            OCTOBER.start + timedelta(minutes=number // 2),
        )
        for number in range(1_000)
    ]
    added = chance.sample(items, len(items))
    tally = RunTally(7)
    for item in added:
        tally.add(item)

    runs = tally.runs(5)

    assert [item.fact.subject for item in runs.listed] == [f"run-{each:03}" for each in range(5)]
    troubled = [item for item in items if item.state in {State.REFUSED, State.SKIPPED}]
    assert runs.troubled == tuple(troubled[:200])
    assert (runs.count, runs.billed, runs.left_out) == (1_000, 500, 500)
    assert runs.total_bytes == sum(
        item.fact.value for item in items if item.state in {State.CONFIRMED, State.INVOICED}
    )


def test_none_are_listed_where_none_are_wanted() -> None:
    tally = RunTally(0)
    tally.add(run_item("cus_A", "run-1", 5, State.CONFIRMED, OCTOBER.start))

    assert tally.runs(0).listed == ()
    assert tally.runs(0).count == 1
