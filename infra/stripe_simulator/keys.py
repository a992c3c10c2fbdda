"""Authentication with API keys, restricted ones too.

Sources: https://docs.stripe.com/api/authentication and https://docs.stripe.com/keys
"""

import base64
import binascii
from collections.abc import Mapping

from infra.stripe_simulator.errors import ApiError
from infra.stripe_simulator.settings import ApiKey, Settings

_SHOWN = 4


def authenticate(headers: Mapping[str, str], settings: Settings) -> ApiKey:
    """The accepted key a request carries, as a bearer token or as the Basic user name.

    Raises:
        ApiError: 401, as Stripe answers; the message shows the key's last four characters only.
    """
    secret = _presented(headers.get("authorization", ""))
    if not secret:
        raise ApiError(
            401,
            "You did not provide an API key. Provide it in the Authorization header, "
            "as 'Authorization: Bearer YOUR_SECRET_KEY'.",
        )
    for key in settings.api_keys:
        if key.secret.get_secret_value() == secret:
            return key
    raise ApiError(401, f"Invalid API Key provided: {masked(secret)}")


def permit(key: ApiKey, permission: str) -> None:
    """Refuse a restricted key on what it lacks.

    Raises:
        ApiError: 403.
    """
    if key.permissions is not None and permission not in key.permissions:
        raise ApiError(
            403,
            f"The provided key '{masked(key.secret.get_secret_value())}' does not have the "
            f"required permissions for this endpoint on account '{key.account}'. "
            f"Having the 'rak_{permission}' permission would allow this request to continue.",
        )


def masked(secret: str) -> str:
    """The key's kind and last four characters, the rest as asterisks."""
    prefix = "_".join(secret.split("_")[:2]) + "_" if secret.count("_") > 1 else ""
    hidden = secret[len(prefix) :]
    return (
        prefix
        + "*" * max(4, len(hidden) - _SHOWN)
        + (hidden[-_SHOWN:] if len(hidden) > _SHOWN else "")
    )


def _presented(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
