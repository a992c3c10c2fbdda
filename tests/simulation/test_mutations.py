"""The simulation notices every rule of the protocol that is broken on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.mutations import MUTATIONS
from tests.simulation.quiet import silenced
from tests.simulation.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

# Within how many seeds, from 0 on, each has to be noticed.
_WITHIN = {
    "outcome_without_fence": 20,
    "claim_without_fence": 20,
    "claim_after_the_call": 5,
    "first_attempt_stamped_with_the_outcome": 5,
    "throttled_later_goes_back_to_planned": 40,
    "refused_later_goes_to_rejected": 40,
    "no_check_between_claim_and_call": 40,
    "only_the_monotonic_clock_is_asked": 40,
    "value_computed_anew": 20,
    "timestamp_of_the_retry": 5,
    "resent_after_a_day": 40,
    "next_generation_by_itself": 40,
    "report_before_sent_is_dropped": 60,
    "older_generations_report_acted_on": 120,
    "monthly_row_before_the_daily_rows": 5,
    "daily_rows_before_the_ledger": 5,
    "deleted_before_the_rows": 60,
    "who_stands_still_leaves_the_index": 120,
    "deleted_customers_are_billed_anew": 60,
    "nobody_asks_for_the_invoice": 20,
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with silenced():
        yield


@pytest.mark.parametrize("name", _WITHIN)
def test_a_mutation_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[name](monkeypatch)
    seeds = _WITHIN[name]
    for seed in range(seeds):
        if Run(seed).execute().violations:
            return
    pytest.fail(f"{name} went unnoticed for {seeds} seeds")


def test_every_mutation_is_tried() -> None:
    assert _WITHIN.keys() == MUTATIONS.keys()
