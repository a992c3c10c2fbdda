"""A letter is shown, whatever its body is."""

from __future__ import annotations

import pytest

from worker.commands.dlq_printing import pretty


@pytest.mark.parametrize("body", ["[" * 100_000, "not JSON", '{"version": ' + "9" * 5000 + "}"])
def test_a_body_that_cannot_be_indented_is_shown_as_it_is(body: str) -> None:
    assert pretty(body) == body
