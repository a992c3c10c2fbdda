"""What is asked of Stripe besides meter events is paced, and asked again where it was too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.consumer.queue_world import SetClock
from worker.stripe_api.pace import PacedRequests, pace

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "https://api.stripe.com/v1/"
SUMMARIES = f"{BASE}billing/meters/mtr_1/event_summaries?customer=cus_1"
EVENTS = f"{BASE}billing/meter_events"


class Stripe:
    """Notes when it was asked; answers what it was told, then 200.

    Args:
        clock: the time.
        statuses: of the answers to come.
    """

    def __init__(self, clock: SetClock, *statuses: int) -> None:
        self.asked: list[float] = []
        self._clock = clock
        self._statuses = list(statuses)

    def request(
        self,
        method: str,  # noqa: ARG002 - the transport's shape
        url: str,  # noqa: ARG002 - the transport's shape
        headers: Mapping[str, str] | None,  # noqa: ARG002 - the transport's shape
        post_data: object = None,  # noqa: ARG002 - the transport's shape
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self.asked.append(self._clock.passed)
        return b"{}", self._statuses.pop(0) if self._statuses else 200, {}

    def close(self) -> None:
        """Nothing is open."""

    def most_in_a_second(self) -> int:
        return max(sum(at <= other < at + 1 for other in self.asked) for at in self.asked)


def asking(share: int, *statuses: int) -> tuple[Stripe, PacedRequests, SetClock]:
    clock = SetClock()
    stripe = Stripe(clock, *statuses)
    return stripe, PacedRequests(stripe, pace(share, clock)), clock


def test_questions_stay_below_their_share_of_stripe_s_rate() -> None:
    for share, limit in ((100, 25), (50, 12.5), (20, 5)):
        stripe, paced, clock = asking(share)
        clock.sleep(3600)
        for _ in range(100):
            paced.request("get", SUMMARIES, {})

        assert stripe.most_in_a_second() <= limit
        assert stripe.asked[-1] - stripe.asked[0] <= 100 / limit * 1.2


def test_meter_events_have_their_own_turns() -> None:
    stripe, paced, clock = asking(1)
    before = clock.passed
    for _ in range(100):
        paced.request("post", EVENTS, {}, "value=1")

    assert clock.passed == before
    assert len(stripe.asked) == 100


def test_a_question_refused_for_the_rate_is_asked_again_and_more_slowly() -> None:
    stripe, paced, _ = asking(100, 429, 429)

    assert paced.request("get", SUMMARIES, {})[1] == 200
    first, second, third = stripe.asked
    assert 0 < second - first < third - second < 1


def test_a_stripe_that_only_refuses_is_believed_after_four_questions() -> None:
    stripe, paced, _ = asking(100, *[429] * 10)

    assert paced.request("get", SUMMARIES, {})[1] == 429
    assert len(stripe.asked) == 4


def test_what_changes_something_is_never_sent_twice() -> None:
    stripe, paced, _ = asking(100, 429)

    assert paced.request("post", f"{BASE}billing/meter_event_adjustments", {}, "x=1")[1] == 429
    assert paced.request("post", EVENTS, {}, "value=1")[1] == 200
    assert len(stripe.asked) == 2
