"""The account under test: the simulator, or a Stripe sandbox where STRIPE_TEST_KEY names one."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import stripe

from infra.stripe_simulator import DEFAULT_KEY, SettableClock, StripeSimulator, serve

_PATIENCE_SECONDS = 180
_PAUSE_SECONDS = 3
_START = datetime(2026, 10, 15, 12, 0, 30, tzinfo=UTC)


class LiveKeyError(Exception):
    """STRIPE_TEST_KEY is not a test key; these tests create objects and send usage."""


@dataclass(frozen=True)
class Account:
    """What a case needs.

    Attributes:
        client: Never retries by itself.
        now: Epoch seconds on the account's clock.
        patience: How long to wait for what is eventually consistent; none in the simulator.
    """

    client: stripe.StripeClient
    now: Callable[[], int]
    patience: float

    def unique(self, name: str) -> str:
        """A name nobody used before."""
        return f"{name}-{uuid4().hex[:12]}"

    def eventually(self, condition: Callable[[], bool]) -> bool:
        """Whether the condition comes true in time."""
        deadline = time.monotonic() + self.patience
        while not condition():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        return True


def sandbox_key(environment: Mapping[str, str]) -> str | None:
    """The sandbox's key, or None.

    Raises:
        LiveKeyError: It is not a test key.
    """
    key = environment.get("STRIPE_TEST_KEY")
    if not key:
        return None
    if not key.startswith(("sk_test_", "rk_test_")):
        raise LiveKeyError("STRIPE_TEST_KEY must begin with sk_test_ or rk_test_; nothing was sent")
    return key


@contextmanager
def open_account(key: str | None) -> Iterator[Account]:
    """The sandbox of `key`, or a fresh simulator."""
    http = stripe.RequestsClient(timeout=20)
    try:
        if key is not None:
            client = stripe.StripeClient(key, max_network_retries=0, http_client=http)
            yield Account(client, lambda: int(time.time()), _PATIENCE_SECONDS)
            return
        clock = SettableClock(_START)
        with serve(StripeSimulator(clock)) as served:
            client = stripe.StripeClient(
                DEFAULT_KEY,
                base_addresses={"api": served.url},
                max_network_retries=0,
                http_client=http,
            )
            yield Account(client, lambda: int(clock().timestamp()), 0)
    finally:
        http.close()  # type: ignore[no-untyped-call]  # the library leaves it untyped
