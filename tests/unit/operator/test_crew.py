import threading
from collections.abc import Iterator

import pytest

from worker.crew import worked_through


def test_results_come_in_order_and_work_runs_side_by_side() -> None:
    together = threading.Barrier(2, timeout=10)

    def work(number: int) -> int:
        together.wait()
        return number * number

    assert list(worked_through(range(8), work, threads=2)) == [n * n for n in range(8)]


def test_a_stream_is_drawn_only_as_far_as_there_is_room() -> None:
    drawn = 0

    def tasks() -> Iterator[int]:
        nonlocal drawn
        for number in range(10_000):
            drawn += 1
            yield number

    results = worked_through(tasks(), lambda number: number, threads=2)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert drawn < 30
    results.close()  # type: ignore[attr-defined]  # a generator behind an iterator's type


def test_what_work_raises_is_raised_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(worked_through(range(1000), work, threads=1))
    assert len(begun) < 20
