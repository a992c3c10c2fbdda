"""The transport under Stripe's library: connections that are kept and shared between threads.

The library's default, ``requests``, builds a request three times over; this one hands it to
``urllib3``, on which ``requests`` stands too. The library still makes every request and reads every
answer.
"""

from __future__ import annotations

import ssl
import urllib.request
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import stripe
import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping

# More threads than this wait for nothing: they open connections that are not kept.
_KEPT_CONNECTIONS = 64


class KeptConnections(stripe.HTTPClient):
    """Sends each request once, over a connection that is kept; never follows, never repeats.

    Args:
        base: the address that all requests go to; tells whether a proxy stands on the way.
        timeout: seconds to connect, and seconds between two bytes of an answer.
    """

    name = "urllib3"

    def __init__(self, base: str, *, timeout: float) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "maxsize": _KEPT_CONNECTIONS,
            "timeout": urllib3.Timeout(connect=timeout, read=timeout),
            "retries": False,
        }
        if base.startswith("https:"):
            options["ssl_context"] = ssl.create_default_context(cafile=stripe.ca_bundle_path)
        proxy = _proxy(base)
        self._pool: urllib3.PoolManager = (
            urllib3.PoolManager(**options)
            if proxy is None
            else urllib3.ProxyManager(proxy, **options)
        )

    def request(  # type: ignore[override]  # the library says str, and takes and gives bytes
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send a request and read its whole answer.

        Raises:
            stripe.APIConnectionError: no answer came; its cause is ``urllib3``'s error.
        """
        body = post_data if isinstance(post_data, bytes) or post_data is None else str(post_data)
        try:
            answer = self._pool.request(
                method.upper(), url, body=body, headers=headers, redirect=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            _raise(f"{type(error).__name__}: {error}", error)
        except ValueError:
            # A header that cannot be written. What it says holds the key: it goes no further.
            _raise("the request could not be written; look for line breaks in the key", None)
        return answer.data, answer.status, answer.headers

    def close(self) -> None:
        """Close what is kept."""
        self._pool.clear()


def _raise(what: str, cause: Exception | None) -> NoReturn:
    failure: stripe.APIConnectionError = stripe.APIConnectionError(  # type: ignore[no-untyped-call]  # the library's
        f"(Network error: {what})", should_retry=False
    )
    raise failure from cause


def _proxy(base: str) -> str | None:
    """The proxy that the environment names for an address, as every HTTP client reads it."""
    parts = urlsplit(base)
    if parts.hostname is None or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
