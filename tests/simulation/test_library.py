"""Some runs go through the product's Stripe code, the official library and Stripe's simulator."""

from __future__ import annotations

import pytest

from tests.simulation.quiet import silenced
from tests.simulation.run import Run

_CHUNKS = 4
_A_CHUNK = 9


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_seeds_hold_through_the_official_library(chunk: int) -> None:
    with silenced():
        for seed in range(chunk * _A_CHUNK, (chunk + 1) * _A_CHUNK):
            result = Run(seed, library=True).execute()
            assert not result.violations, f"seed {seed}: {result.violations[0]}"
            assert result.reached["answered"], f"seed {seed} sent nothing"
