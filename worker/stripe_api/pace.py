"""The pace of everything that is asked of Stripe besides meter events.

Every operation may be called 25 times a second, in a sandbox all of them together
(https://docs.stripe.com/rate-limits). Nearly all of what a worker or a report asks goes to one
operation, the summaries or the invoices, so one rate for all of them loses little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import stripe

from worker.stripe_api.turns import BELOW_THE_LIMIT, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.clock import Clock

PER_SECOND = 25
_METER_EVENTS = "/v1/billing/meter_events"
_TOO_MANY = 429
_MOST_QUESTIONS = 4


def pace(share: int, clock: Clock) -> TokenBucket:
    """The rate of one process.

    Args:
        share: how much of Stripe's rate this process may use, in percent.
        clock: monotonic time, and waiting.
    """
    return TokenBucket(PER_SECOND * BELOW_THE_LIMIT * share / 100, clock)


class Transport(Protocol):
    """What carries requests to Stripe."""

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send a request once and read its whole answer."""

    def close(self) -> None:
        """Close what is kept."""


class PacedRequests(stripe.HTTPClient):
    """Sends requests at a pace, and asks again what Stripe would not answer for its rate.

    Meter events pass: they have their turns, a limit of their own, and the ledger to say whether
    they are sent again.

    Args:
        inner: sends them.
        bucket: the pace.
    """

    name = "urllib3"

    def __init__(self, inner: Transport, bucket: TokenBucket) -> None:
        super().__init__()
        self._inner = inner
        self._bucket = bucket

    def request(  # type: ignore[override]  # the library says str, and takes and gives bytes
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send a request when its time has come.

        Raises:
            stripe.APIConnectionError: no answer came.
        """
        if urlsplit(url).path == _METER_EVENTS:
            return self._inner.request(method, url, headers, post_data)
        again = _MOST_QUESTIONS - 1 if method.upper() == "GET" else 0
        while True:
            self._bucket.take()
            answer = self._inner.request(method, url, headers, post_data)
            if answer[1] != _TOO_MANY:
                return answer
            self._bucket.slow_down()
            if not again:
                return answer
            again -= 1

    def close(self) -> None:
        """Close what is kept."""
        self._inner.close()
