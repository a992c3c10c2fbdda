"""The simulation itself: many seeds hold, every seed that ever failed holds, and a seed repeats."""

from __future__ import annotations

import pathlib
import time
from typing import TYPE_CHECKING

import pytest

from tests.simulation.quiet import silenced
from tests.simulation.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEEDS = 240
_CHUNKS = 8
_LONGEST_SECONDS = 60
_FAILED_ONCE = pathlib.Path(__file__).with_name("failed_once.txt")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with silenced():
        yield


def _remembered() -> list[int]:
    lines = _FAILED_ONCE.read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_many_seeds_hold(chunk: int) -> None:
    size = _SEEDS // _CHUNKS
    began = time.perf_counter()
    for seed in range(chunk * size, (chunk + 1) * size):
        result = Run(seed).execute()
        assert result.deliveries > 0, f"seed {seed} delivered nothing"
        assert not result.violations, f"seed {seed}: {result.violations[0]}"
        if time.perf_counter() - began > _LONGEST_SECONDS / _CHUNKS:
            break  # a slow machine tries fewer seeds, never none


@pytest.mark.parametrize("seed", _remembered())
def test_a_seed_that_failed_once_holds(seed: int) -> None:
    result = Run(seed).execute()
    assert not result.violations, str(result.violations[0])


@pytest.mark.parametrize("seed", [3, 32])
def test_a_seed_repeats_exactly(seed: int) -> None:
    first, second = (Run(seed, record=True).execute() for _ in range(2))
    assert first.history.lines()
    assert first.history.digest() == second.history.digest()


def test_two_seeds_differ() -> None:
    first, second = (Run(seed, record=True).execute() for seed in (3, 4))
    assert first.history.digest() != second.history.digest()


def test_recording_changes_nothing() -> None:
    quiet, recorded = Run(5).execute(), Run(5, record=True).execute()
    assert quiet.deliveries == recorded.deliveries
    assert quiet.reached == recorded.reached
    assert quiet.states == recorded.states


def test_the_runs_reach_what_they_are_meant_to_reach() -> None:
    reached = sum(
        (Run(seed).execute().reached for seed in range(25)), start=Run(25).execute().reached
    )
    for what in (
        *("accepted_then_500", "accepted_then_hangs", "accepted_then_reset", "lands_late"),
        *("throttled", "conflict", "bad_key", "dropped", "invalid", "crash", "stall"),
        *("sending to unknown", "unknown to sending", "sending to sending", "sent to confirmed"),
        *("sending to planned", "sending to rejected", "sent to refused"),
        *("batch of writes", "half_a_batch", "statement_throttled"),
        *("statement failed: ConditionalCheckFailed", "statement failed: DuplicateItem"),
    ):
        assert reached[what], f"no run came to {what!r}: {reached}"
