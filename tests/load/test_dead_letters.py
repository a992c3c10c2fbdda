"""The script for a hundred thousand dead letters, with a few: what it proves holds for them too."""

from __future__ import annotations

from tests.load.dead_letters import prove


def test_a_replay_that_is_killed_and_started_anew_sends_each_letter_once() -> None:
    ends = prove(letters=1_500, kills=2, answer_seconds=0.1)

    assert sum(end.code == -9 for end in ends.values()) == 2
