"""A failing seed is made small: what it does not need is left out, and it still fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.mutations import MUTATIONS
from tests.simulation.quiet import silenced
from tests.simulation.run import Result, Run
from tests.simulation.shrinking import Shrinking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.shrinking import Runs

_SEEDS = 40
_RULE = "billed twice"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with silenced():
        yield


def _runs(seed: int) -> Runs:
    def run(without: frozenset[str], *, record: bool = False) -> Result:
        return Run(seed, record=record, without=without).execute()

    return run


def _failed() -> Result:
    """The first run that fails by the rule."""
    for seed in range(_SEEDS):
        result = Run(seed).execute()
        if result.violations and result.violations[0].rule == _RULE:
            return result
    pytest.fail(f"{_SEEDS} seeds held")


def test_a_failing_seed_becomes_small_and_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS["resent_after_a_day"](monkeypatch)
    failed = _failed()

    shrunk = Shrinking(_runs(failed.seed), _RULE, most=60).shrink(failed)

    assert shrunk.result.violations[0].rule == _RULE
    assert len(shrunk.result.parts) < len(failed.parts) / 4
    text = "\n".join(shrunk.lines())
    assert f"seed {failed.seed}: {_RULE}" in text
    assert text.count("stripe meter_event") > 1


def test_what_is_left_out_stays_out() -> None:
    run = _runs(11)
    whole = run(frozenset())
    gone = frozenset(list(whole.parts)[::2])

    result = run(gone)

    assert not gone & result.parts.keys()
