"""How an origin is reached, as botocore has it: by which proxy, and whose certificates count."""

from __future__ import annotations

import os

import botocore.session
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
    """The file of certificates: the environment's, the AWS configuration's, or botocore's own."""
    named: str | None = botocore.session.get_session().get_config_variable("ca_bundle")
    return named or os.environ.get("REQUESTS_CA_BUNDLE") or str(get_cert_path(verify=True))
