"""A difference names a case there is: one that names none would hide nothing, and say it does."""

from __future__ import annotations

import pytest

from tests.parity import (
    test_dynamodb_batches_of_statements,
    test_dynamodb_reads,
    test_dynamodb_writes,
    test_sqs,
    test_stripe,
)
from tests.parity.conftest import ENGINES
from tests.parity.differences import DIFFERENCES

_ROOMS = (
    test_dynamodb_batches_of_statements,
    test_dynamodb_reads,
    test_dynamodb_writes,
    test_sqs,
    test_stripe,
)


@pytest.mark.parametrize(("name", "case"), sorted(DIFFERENCES))
def test_a_difference_names_an_engine_and_a_case(name: str, case: str) -> None:
    assert any(name in engines for engines in ENGINES.values())
    assert any(hasattr(room, case.split("[", maxsplit=1)[0]) for room in _ROOMS)
