"""Gathering: who works side by side asks together; nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from worker.gathering import Gathering, Member, Unanswered, apart

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = 30.0


class Doubled:
    """Doubles numbers and remembers which came together."""

    def __init__(self) -> None:
        self.together: list[list[int]] = []

    def perform(self, asked: Sequence[int]) -> Sequence[int]:
        self.together.append(sorted(asked))
        return [2 * number for number in asked]


Work = Callable[[Member[int, int]], int]


def side_by_side(gathering: Gathering[int, int], *works: Work) -> list[int]:
    """Let each work as a member on a thread of its own; all are members before any begins."""
    entered = threading.Barrier(len(works))

    def work(one: Work) -> int:
        with gathering.member() as member:
            entered.wait(TIMEOUT)
            return one(member)

    with ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(work, one) for one in works]
        return [future.result(TIMEOUT) for future in begun]


def asking(number: int) -> Work:
    return lambda member: member.ask(number)


def test_members_that_all_ask_are_answered_by_one_call() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    told = side_by_side(gathering, *(asking(n) for n in range(10)))

    assert told == [2 * n for n in range(10)]
    assert doubled.together == [list(range(10))]


def test_step_follows_step() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    def steps(number: int) -> Work:
        return lambda member: member.ask(member.ask(number) + 100)

    told = side_by_side(gathering, steps(1), steps(2), steps(3))

    assert told == [204, 208, 212]
    assert doubled.together == [[1, 2, 3], [102, 104, 106]]


def test_a_lone_member_waits_for_nobody() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    with gathering.member() as member:
        assert member.ask(4) == 8

    assert doubled.together == [[4]]


def test_a_member_that_leaves_is_not_waited_for() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)

    told = side_by_side(gathering, asking(1), asking(2), lambda _: 0, lambda _: 0)

    assert told == [2, 4, 0, 0]
    assert sorted(number for some in doubled.together for number in some) == [1, 2]


def test_a_member_that_is_at_work_is_waited_for_so_long_and_no_longer() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=0.01)
    others_done = threading.Event()

    def slow(member: Member[int, int]) -> int:
        assert others_done.wait(TIMEOUT)
        return member.ask(3)

    def quick(member: Member[int, int]) -> int:
        told = member.ask(1)
        others_done.set()
        return told

    assert side_by_side(gathering, slow, quick) == [6, 2]
    assert doubled.together == [[1], [3]]


def test_a_member_that_has_long_been_at_work_is_not_waited_for() -> None:
    doubled, now = Doubled(), [100.0]
    gathering = Gathering(doubled.perform, pause=TIMEOUT, monotonic=lambda: now[0])

    with gathering.member() as busy:
        now[0] += 5 * TIMEOUT
        with gathering.member() as quick:
            assert quick.ask(1) == 2
        assert busy.ask(2) == 4

    assert doubled.together == [[1], [2]]


def test_what_fails_fails_for_everyone_and_the_next_goes_on() -> None:
    calls = 0

    def perform(asked: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("gone")
        return asked

    gathering = Gathering(perform, pause=TIMEOUT)

    def stubborn(number: int) -> Work:
        def work(member: Member[int, int]) -> int:
            with pytest.raises(ConnectionError, match="gone"):
                member.ask(number)
            return member.ask(number)

        return work

    assert side_by_side(gathering, stubborn(1), stubborn(2)) == [1, 2]
    assert calls == 2


class Particular(Exception):  # noqa: N818 - says what it is
    """One that ``copy`` cannot make anew."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


def test_an_error_that_cannot_be_copied_reaches_everyone() -> None:
    def perform(_: Sequence[int]) -> Sequence[int]:
        raise Particular("no", "because")

    def work(member: Member[int, int]) -> int:
        with pytest.raises(Particular, match="because"):
            member.ask(1)
        return 0

    assert side_by_side(Gathering(perform, pause=TIMEOUT), work, work) == [0, 0]


def test_fewer_answers_than_questions_are_an_error_for_everyone() -> None:
    def work(member: Member[int, int]) -> int:
        with pytest.raises(ValueError, match="zip"):
            member.ask(1)
        return 0

    assert side_by_side(Gathering(lambda _: [], pause=TIMEOUT), work, work) == [0, 0]


def test_who_hears_nothing_gives_up() -> None:
    given_up = threading.Event()

    def perform(asked: Sequence[int]) -> Sequence[int]:
        if 1 in asked:
            assert given_up.wait(TIMEOUT)
        return asked

    gathering = Gathering(perform, pause=0.2, answer=0.01)

    def work(member: Member[int, int]) -> int:
        try:
            told = member.ask(1)
        except Unanswered:
            given_up.set()
            # And works on: what becomes of the other changes nothing for it.
            return member.ask(2)
        return told

    assert sorted(side_by_side(gathering, work, work)) == [1, 2]


def test_many_threads_and_many_steps_all_come_to_their_end() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=0.005)

    def work(number: int) -> int:
        total = 0
        for step in range(number % 7):
            with gathering.member() as member:
                total += member.ask(number + step)
        return total

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(work, range(400), timeout=TIMEOUT))

    assert told == [sum(2 * (n + step) for step in range(n % 7)) for n in range(400)]


def test_one_that_was_expected_is_waited_for() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)
    gathering.expect()
    gathering.expect()

    def work(number: int) -> int:
        with gathering.member() as member:
            return member.ask(number)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(work, 1)
        second = pool.submit(work, 2)
        assert (first.result(TIMEOUT), second.result(TIMEOUT)) == (2, 4)

    assert doubled.together == [[1, 2]]


def test_one_that_was_expected_and_excused_is_not() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)
    gathering.expect()
    gathering.expect()
    gathering.excuse()

    with gathering.member() as member:
        assert member.ask(1) == 2


def test_one_that_waits_for_what_another_holds_is_not_waited_for() -> None:
    doubled = Doubled()
    gathering = Gathering(doubled.perform, pause=TIMEOUT)
    turn = threading.Lock()

    def in_turn(number: int) -> Work:
        def work(member: Member[int, int]) -> int:
            with apart():
                turn.acquire()
            try:
                return member.ask(member.ask(number))
            finally:
                turn.release()

        return work

    assert side_by_side(gathering, in_turn(1), in_turn(2)) == [4, 8]
    assert sorted(doubled.together) == [[1], [2], [2], [4]]
