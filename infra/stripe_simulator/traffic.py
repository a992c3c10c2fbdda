"""Limits on calls.

Source: https://docs.stripe.com/rate-limits

So many calls a second, and one call at a time per customer and meter
(https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api#rate-limits).
"""

from dataclasses import dataclass
from http import HTTPStatus
from itertools import count

from infra.stripe_simulator.errors import ApiError
from infra.stripe_simulator.settings import Settings


@dataclass(frozen=True, slots=True)
class _InProgress:
    until: float
    idempotency_key: str | None
    usage: tuple[str, str] | None


class Traffic:
    """Counts calls in the current second and knows which calls are still in progress."""

    def __init__(self) -> None:
        self._second = 0
        self._counts: dict[str, int] = {}
        self._calls: dict[int, _InProgress] = {}
        self._numbers = count(1)

    def count(self, kind: str, limit: int | None, now: int) -> None:
        """Count one call.

        Raises:
            ApiError: 429, the second's limit is used up.
        """
        if limit is None:
            return
        if now != self._second:
            self._second = now
            self._counts.clear()
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] > limit:
            raise ApiError(
                429,
                "Request rate limit exceeded. Retry with an exponential backoff of your requests.",
                code="rate_limit",
                headers={"Stripe-Rate-Limited-Reason": "endpoint-rate"},
            )

    def admit(
        self,
        idempotency_key: str | None,
        usage: tuple[str, str] | None,
        settings: Settings,
        now: float,
    ) -> None:
        """Let a call pass unless one in progress holds its idempotency key or its usage.

        Args:
            idempotency_key: The call's.
            usage: Customer and event name.
            settings: For the answer.
            now: Epoch seconds.

        Raises:
            ApiError: 409 for the key; 409 or 429, as set, for the usage.
        """
        if not self._calls:
            return
        self._calls = {number: call for number, call in self._calls.items() if call.until > now}
        for call in self._calls.values():
            if idempotency_key is not None and call.idempotency_key == idempotency_key:
                raise ApiError(
                    409,
                    "Another request with the same idempotency key is in progress. Retry later.",
                    kind="idempotency_error",
                    code="idempotency_key_in_use",
                )
            if usage is not None and call.usage == usage:
                headers = {"Stripe-Should-Retry": "true"}
                if HTTPStatus(settings.concurrency_status) is HTTPStatus.TOO_MANY_REQUESTS:
                    headers["Stripe-Rate-Limited-Reason"] = "resource-specific"
                raise ApiError(
                    settings.concurrency_status,
                    "Another request for this customer and meter is in progress. Retry later.",
                    code=settings.concurrency_code,
                    headers=headers,
                )

    def begin(
        self, idempotency_key: str | None, usage: tuple[str, str] | None, until: float
    ) -> int:
        """Note a call in progress until the clock says `until`; returns its number."""
        number = next(self._numbers)
        self._calls[number] = _InProgress(until, idempotency_key, usage)
        return number

    def end(self, number: int) -> None:
        """The call is over."""
        self._calls.pop(number, None)
