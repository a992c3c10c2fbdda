"""How an origin is reached, as botocore has it: by which proxy, and whose certificates count."""

from __future__ import annotations

import os

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies


def proxy_to(origin: str) -> str | None:
    """The proxy that the environment names on the way to an origin; None where there is none.

    Args:
        origin: scheme, host and port.
    """
    proxy: str | None = get_environ_proxies(origin).get(origin.partition("://")[0])
    return proxy


def authorities() -> str:
    """The file of certificates: AWS_CA_BUNDLE, else the one that comes with botocore."""
    bundle: str = os.environ.get("AWS_CA_BUNDLE") or get_cert_path(verify=True)  # type: ignore[assignment]  # None only where nothing is to be verified
    return bundle
