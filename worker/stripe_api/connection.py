"""The connection to Stripe: one client per key, and whose account the key opens."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import stripe

from worker.errors import Temporary
from worker.ledger.fact import StripeAccount
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.secret_text import safe_text
from worker.stripe_api.transport import KeptConnections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pydantic import SecretStr

    from worker.stripe_api.api_key import ApiKey

TIMEOUT_SECONDS = 10
_UNAUTHORIZED = 401
# The same question may be answered later: a key rotated, a timeout on the way, a lock, a rate.
_PASSING = frozenset({_UNAUTHORIZED, 408, 409, 425, 429})
_SERVER_ERRORS = 500
_NOT_IMPLEMENTED = 501


class StripeUnavailable(Temporary):
    """Stripe did not answer a question that has to be answered before anything is sent.

    Args:
        message: what it was, and why.
        refused: whether Stripe refused the key.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(slots=True)
class KeyedClient:
    """A client, the key it was made with, and whose key that is, once Stripe was asked."""

    client: stripe.StripeClient
    key: SecretStr
    account: StripeAccount | None = None

    @property
    def restricted(self) -> bool:
        """Whether the key may do only what was granted (https://docs.stripe.com/keys)."""
        return self.key.get_secret_value().startswith("rk_")

    @property
    def livemode(self) -> bool:
        """Whether the key is a live one: its prefix says so (https://docs.stripe.com/keys)."""
        return self.key.get_secret_value()[3:].startswith("live_")


class StripeConnection:
    """Hands out the library's client; makes a new one when the key changes.

    The library's own retries stay at 0: whether a call may be repeated is the ledger's to say.

    Args:
        api_key: where the key comes from.
        api_base: Stripe's address, or a double's.
        http_client: makes the transport; by default one that keeps connections, with our timeout.
    """

    def __init__(
        self,
        api_key: ApiKey,
        api_base: str,
        http_client: Callable[[], stripe.HTTPClient] | None = None,
    ) -> None:
        self._api_key = api_key
        self._api_base = api_base
        self._http_client = http_client or (
            lambda: KeptConnections(api_base, timeout=TIMEOUT_SECONDS)
        )
        self._keyed: KeyedClient | None = None
        self._lock = threading.Lock()

    def keyed_client(self) -> KeyedClient:
        """The client for the current key.

        Raises:
            KeyUnavailable: there is none.
        """
        key = self._api_key.current()
        with self._lock:
            if self._keyed is None or self._keyed.key != key:
                self._keyed = KeyedClient(
                    stripe.StripeClient(
                        key.get_secret_value(),
                        base_addresses={"api": self._api_base},
                        http_client=self._http_client(),
                        max_network_retries=0,
                    ),
                    key,
                )
            return self._keyed

    def refused(self, keyed: KeyedClient) -> None:
        """Say that Stripe answered 401: the key is read again at the next use."""
        self._api_key.forget(keyed.key)

    def account(self) -> StripeAccount:
        """Whose key it is; asked once per key.

        A restricted key may not be allowed to ask: the id is then None, the mode still known.

        Raises:
            StripeUnavailable: Stripe did not answer, or refused the key.
            KeyUnavailable: there is no key.
        """
        keyed = self.keyed_client()
        if keyed.account is None:
            keyed.account = StripeAccount(self._ask_account_id(keyed), keyed.livemode)
        return keyed.account

    def likely_account(self) -> StripeAccount:
        """Whose key it is, as far as that is known now: the mode is, the id perhaps not.

        Raises:
            KeyUnavailable: there is no key.
        """
        try:
            return self.account()
        except StripeUnavailable:
            return StripeAccount(None, self.keyed_client().livemode)

    def problem(self) -> str | None:
        """Why Stripe cannot be used now; None where it answers and takes the key."""
        try:
            self._ask_account_id(self.keyed_client())
        except (StripeUnavailable, KeyUnavailable) as error:
            return str(error)
        return None

    def server_time(self) -> datetime | None:
        """What Stripe's clock says, to the second; None where the answer does not tell.

        Raises:
            StripeUnavailable: Stripe did not answer.
            KeyUnavailable: there is no key.
        """
        headers: Mapping[str, str]
        try:
            account = self.keyed_client().client.v1.accounts.retrieve_current()
            answer = account.last_response
            headers = {} if answer is None else answer.headers
        except stripe.StripeError as error:
            if error.http_status is None:
                raise StripeUnavailable(f"Stripe's clock: {describe(error)}") from None
            # Any answer tells the time.
            headers = error.headers or {}
        written = next((text for name, text in headers.items() if name.lower() == "date"), None)
        return None if written is None else parsedate_to_datetime(written)

    def _ask_account_id(self, keyed: KeyedClient) -> str | None:
        try:
            account = keyed.client.v1.accounts.retrieve_current()
        except stripe.StripeError as error:
            refused = error.http_status == _UNAUTHORIZED
            if refused:
                self.refused(keyed)
            elif cannot_tell(error):
                return None
            raise StripeUnavailable(
                f"Stripe would not say whose key this is: {describe(error)}", refused=refused
            ) from None
        known: object = getattr(account, "id", None)
        return known if isinstance(known, str) else None


def cannot_tell(error: stripe.StripeError) -> bool:
    """Whether a question is not for this key, or not known there: asking again changes nothing."""
    status = error.http_status
    if status is None or status in _PASSING:
        return False
    return status < _SERVER_ERRORS or status == _NOT_IMPLEMENTED


def describe(error: stripe.StripeError) -> str:
    """An error of the library in one line: status, code and Stripe's words, without secrets."""
    code = error.error.code if error.error is not None else None
    parts = [
        type(error).__name__ if error.http_status is None else f"HTTP {error.http_status}",
        code or error.code or "",
        safe_text(_without_advice(error.user_message or "no message")),
    ]
    return " ".join(part for part in parts if part)


def _without_advice(message: str) -> str:
    """The library's network errors without its request to write to Stripe's support."""
    _, found, cause = message.partition("(Network error: ")
    return cause.removesuffix(")") if found else message
