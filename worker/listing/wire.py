"""The transport: urllib3, with a connection for each page in flight."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError

from worker.listing.errors import Unreachable
from worker.route import authorities, proxy_to

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONNECT_SECONDS = 5
_READ_SECONDS = 30
# At once: for a connection that was closed while it lay in the pool. Whoever asks waits longer.
_RETRIES = 1

# It writes URLs, and with them what continuation tokens hold; its pool even in warnings.
logging.getLogger("urllib3").setLevel(logging.WARNING)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    body: bytes


class Wire:
    """Keeps connections to one origin.

    Lost connections and cut answers are asked for again at once: a listing only reads. What a
    status means is not decided here.

    Args:
        origin: scheme, host and port.
        in_flight: how many requests there are at once at most.
    """

    def __init__(self, origin: str, in_flight: int) -> None:
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
        retries = urllib3.Retry(total=_RETRIES, redirect=False, respect_retry_after_header=False)
        proxy = proxy_to(origin)
        pools = (
            urllib3.PoolManager(ca_certs=authorities())
            if proxy is None
            else urllib3.ProxyManager(proxy, ca_certs=authorities())
        )
        # A proxy is told the whole URL where nothing is encrypted.
        self._lead = origin if proxy is not None and origin.startswith("http:") else ""
        self._pool = pools.connection_from_url(
            origin, {"maxsize": in_flight, "timeout": timeout, "retries": retries}
        )

    def get(self, target: str, headers: Mapping[str, str]) -> Answer:
        """One request.

        Raises:
            Unreachable: no whole answer came.
        """
        try:
            response = self._pool.urlopen(
                "GET", self._lead + target, headers=headers, redirect=False
            )
        except MaxRetryError as error:
            # Its own text repeats the URL, token and all.
            raise Unreachable(f"{self._pool.host}: {error.reason}") from None
        except HTTPError as error:
            raise Unreachable(f"{self._pool.host}: {error}") from None
        return Answer(response.status, response.data)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
