"""Gathering: who works side by side asks together; nobody waits for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from worker.gathering import Gathering, apart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMEOUT = 30.0


class Doubled:
    """Doubles numbers and remembers which came together."""

    def __init__(self) -> None:
        self.together: list[list[int]] = []

    def perform(self, asked: Sequence[int]) -> Sequence[int]:
        self.together.append(sorted(asked))
        return [2 * number for number in asked]


def side_by_side(gathering: Gathering[int, int], *works: Callable[[], int]) -> list[int]:
    """Let each work as a member on a thread of its own; all are members before any begins."""
    entered = threading.Barrier(len(works))

    def member(work: Callable[[], int]) -> int:
        with gathering.member():
            entered.wait(TIMEOUT)
            return work()

    with ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(member, work) for work in works]
        return [future.result(TIMEOUT) for future in begun]


def test_members_that_all_ask_are_answered_by_one_call() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    told = side_by_side(gathering, *(lambda n=n: gathering.ask(n) for n in range(10)))

    assert told == [2 * n for n in range(10)]
    assert doubled.together == [list(range(10))]


def test_step_follows_step() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    def steps(number: int) -> int:
        return gathering.ask(gathering.ask(number) + 100)

    told = side_by_side(gathering, lambda: steps(1), lambda: steps(2), lambda: steps(3))

    assert told == [204, 208, 212]
    assert doubled.together == [[1, 2, 3], [102, 104, 106]]


def test_a_lone_member_waits_for_nobody() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    with gathering.member():
        assert gathering.ask(4) == 8

    assert doubled.together == [[4]]


def test_a_member_that_leaves_is_not_waited_for() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    told = side_by_side(
        gathering, lambda: gathering.ask(1), lambda: gathering.ask(2), lambda: 0, lambda: 0
    )

    assert told == [2, 4, 0, 0]
    assert sorted(number for some in doubled.together for number in some) == [1, 2]


def test_a_member_that_is_long_at_work_is_waited_for_so_long_and_no_longer() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=0.01)
    others_done = threading.Event()

    def slow() -> int:
        assert others_done.wait(TIMEOUT)
        return gathering.ask(3)

    def quick() -> int:
        told = gathering.ask(1)
        others_done.set()
        return told

    assert side_by_side(gathering, slow, quick) == [6, 2]
    assert doubled.together == [[1], [3]]


def test_what_fails_fails_for_everyone_and_the_next_goes_on() -> None:
    calls = 0

    def perform(asked: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("gone")
        return asked

    gathering = Gathering(perform, pause=TIMEOUT)

    def stubborn(number: int) -> int:
        with pytest.raises(ConnectionError, match="gone"):
            gathering.ask(number)
        return gathering.ask(number)

    assert side_by_side(gathering, lambda: stubborn(1), lambda: stubborn(2)) == [1, 2]
    assert calls == 2


def test_many_threads_and_many_steps_all_come_to_their_end() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=0.005)

    def work(number: int) -> int:
        total = 0
        for step in range(number % 7):
            with gathering.member():
                total += gathering.ask(number + step)
        return total

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(work, range(400), timeout=TIMEOUT))

    assert told == [sum(2 * (n + step) for step in range(n % 7)) for n in range(400)]


def test_one_that_was_expected_is_waited_for() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)
    gathering.expect()
    gathering.expect()

    def member(number: int) -> int:
        with gathering.member():
            return gathering.ask(number)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(member, 1)
        second = pool.submit(member, 2)
        assert (first.result(TIMEOUT), second.result(TIMEOUT)) == (2, 4)

    assert doubled.together == [[1, 2]]


def test_one_that_was_expected_and_excused_is_not() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)
    gathering.expect()
    gathering.expect()
    gathering.excuse()

    with gathering.member():
        assert gathering.ask(1) == 2


def test_one_that_waits_for_what_another_holds_is_not_waited_for() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)
    turn = threading.Lock()

    def in_turn(number: int) -> int:
        with apart():
            turn.acquire()
        try:
            return gathering.ask(gathering.ask(number))
        finally:
            turn.release()

    assert side_by_side(gathering, lambda: in_turn(1), lambda: in_turn(2)) == [4, 8]
    assert sorted(doubled.together) == [[1], [2], [2], [4]]
