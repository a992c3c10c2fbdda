from datetime import UTC, datetime

from worker.call_rate import CallRate


class WristWatch:
    """Stands still, but for those who sleep by it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, tz=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_calls_are_spaced_and_an_idle_time_is_not_saved_up() -> None:
    watch = WristWatch()
    rate = CallRate(watch, per_second=4)
    begun = []
    for number in range(6):
        if number == 3:
            watch.seconds += 10
        rate.wait()
        begun.append(watch.seconds)

    assert begun == [0, 0.25, 0.5, 10.5, 10.75, 11]
