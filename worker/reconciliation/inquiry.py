"""An inquiry: many questions to Stripe, at a rate, and none more once it does not answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from worker.call_rate import CallRate
from worker.stripe_api.connection import StripeUnavailable
from worker.stripe_api.reading import NotReadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.clock import Clock
    from worker.stripe_api.summaries import Summaries

Answer = TypeVar("Answer")
# Stripe allows 25 calls a second to these endpoints in a sandbox; the worker needs some of them.
# https://docs.stripe.com/rate-limits
_CALLS_PER_SECOND = 20
# A Stripe that is down is not asked ten thousand times.
_GIVE_UP_AFTER = 5


class Inquiry:
    """Asks, from several threads. One inquiry serves one run.

    Args:
        clock: monotonic time, and waiting.
    """

    def __init__(self, clock: Clock) -> None:
        self._rate = CallRate(clock, _CALLS_PER_SECOND)
        self._unanswered = 0
        self._closed: dict[str, NotReadable] = {}
        self._lock = threading.Lock()

    def ask(self, subject: str, question: Callable[[], Answer]) -> Answer:
        """Ask one question in one's turn.

        Args:
            subject: what it is about; what the key may not read is not asked about again.
            question: makes the call.

        Raises:
            NotReadable: the key may not read it.
            StripeUnavailable: Stripe did not answer, now or several times before.
        """
        with self._lock:
            if subject in self._closed:
                raise NotReadable(str(self._closed[subject]))
            if self._unanswered >= _GIVE_UP_AFTER:
                raise StripeUnavailable(
                    f"not asked: Stripe failed to answer {_GIVE_UP_AFTER} times"
                )
        self._rate.wait()
        try:
            return question()
        except StripeUnavailable:
            with self._lock:
                self._unanswered += 1
            raise
        except NotReadable as error:
            with self._lock:
                self._closed[subject] = error
            raise


class InquiredSummaries:
    """Stripe's summaries, asked within an inquiry.

    Args:
        inquiry: keeps the rate.
        summaries: what Stripe counted.
    """

    def __init__(self, inquiry: Inquiry, summaries: Summaries) -> None:
        self._inquiry = inquiry
        self._summaries = summaries

    def counted(self, event_name: str, customer_id: str, start: datetime, end: datetime) -> int:
        """Bytes counted for a customer from ``start`` (inclusive) to ``end`` (exclusive)."""
        return self._inquiry.ask(
            "summaries", lambda: self._summaries.counted(event_name, customer_id, start, end)
        )
