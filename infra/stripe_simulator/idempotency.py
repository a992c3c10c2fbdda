"""Idempotency keys.

Sources:
    https://docs.stripe.com/api/idempotent_requests (the first answer is saved for 24 hours once
        the endpoint began its work, a 500 too; other parameters under the same key are an error)
    https://docs.stripe.com/error-low-level (`Idempotent-Replayed`, `Stripe-Should-Retry`)
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from infra.stripe_simulator.errors import ApiError, invalid
from infra.stripe_simulator.messages import Request, Response

_KEPT = 24 * 60 * 60
_LONGEST_KEY = 255
_ADVICE = "Stripe-Should-Retry"


@dataclass(frozen=True, slots=True)
class Saved:
    """An answer and the request it was for. `at` is in epoch seconds."""

    path: str
    parameters: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    at: int


class Idempotency:
    """The saved answers, by account and key."""

    def __init__(self) -> None:
        self._saved: OrderedDict[tuple[str, str], Saved] = OrderedDict()

    def find(self, account: str, key: str, request: Request, now: int) -> Saved | None:
        """The saved answer; None if this key is new.

        Raises:
            ApiError: 400, the key is too long or was used with other parameters.
        """
        if len(key) > _LONGEST_KEY:
            raise invalid("Idempotency keys are at most 255 characters long.", "Idempotency-Key")
        self._forget(now)
        saved = self._saved.get((account, key))
        if saved is not None and (saved.path, saved.parameters) != (request.path, request.body):
            raise ApiError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' for another request.",
                kind="idempotency_error",
            )
        return saved

    def save(self, account: str, key: str, request: Request, response: Response, now: int) -> None:
        """Keep an answer for 24 hours."""
        advice = response.headers.get(_ADVICE)
        self._saved[account, key] = Saved(
            path=request.path,
            parameters=request.body,
            status=response.status,
            headers={} if advice is None else {_ADVICE: advice},
            body=response.body,
            request_id=response.headers["Request-Id"],
            at=now,
        )

    def _forget(self, now: int) -> None:
        while self._saved:
            oldest = next(iter(self._saved.values()))
            if now - oldest.at < _KEPT:
                return
            self._saved.popitem(last=False)
