"""The API key: from Secrets Manager, kept until Stripe refuses it."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from worker.errors import Temporary

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

FIELD = "STRIPE_SECRET_KEY"
# Nothing that an HTTP header could not carry: a key pasted with its line break is no key.
_KEY = re.compile(r"(?:sk|rk)_(?:live|test)_[!-~]+")


class KeyUnavailable(Temporary):
    """There is no usable key now; says what is wrong with it, never what it is.

    Args:
        message: what is wrong.
        failure: why Secrets Manager gave no secret; None where it gave one.
    """

    def __init__(self, message: str, failure: ClientError | BotoCoreError | None = None) -> None:
        super().__init__(message)
        self.failure = failure

    @property
    def code(self) -> str | None:
        """What Secrets Manager answered; None where it gave a secret, or no answer."""
        if not isinstance(self.failure, ClientError):
            return None
        return self.failure.response["Error"]["Code"]


class ApiKey:
    """Gives the Stripe key, read once and again after :meth:`forget`.

    Args:
        secrets: Secrets Manager.
        secret_id: the secret's name; it holds ``{"STRIPE_SECRET_KEY": "sk_…"}``.
        override: a key that is used instead; for local work.
    """

    def __init__(
        self, secrets: SecretsManagerClient, secret_id: str, override: SecretStr | None = None
    ) -> None:
        self._secrets = secrets
        self._secret_id = secret_id
        self._override = override
        self._known: SecretStr | None = None
        self._lock = threading.Lock()

    def current(self) -> SecretStr:
        """The key.

        Raises:
            KeyUnavailable: the secret is missing, unreadable or of another shape.
        """
        if self._override is not None:
            return self._override
        with self._lock:
            if self._known is None:
                self._known = self._read()
            return self._known

    def forget(self, refused: SecretStr) -> None:
        """Read the secret again at the next use, unless that was done since ``refused``."""
        with self._lock:
            if self._known == refused:
                self._known = None

    def _read(self) -> SecretStr:
        try:
            answer = self._secrets.get_secret_value(SecretId=self._secret_id)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise KeyUnavailable(
                f"secret {self._secret_id}: Secrets Manager says {code}", error
            ) from None
        except BotoCoreError as error:
            raise KeyUnavailable(
                f"secret {self._secret_id}: {type(error).__name__}", error
            ) from None
        return parse_secret(answer.get("SecretString", ""), self._secret_id)


def parse_secret(content: str, secret_id: str) -> SecretStr:
    """Read the key out of a secret's text.

    Raises:
        KeyUnavailable: another shape, or no Stripe secret key in it.
    """
    try:
        fields = json.loads(content)
    except ValueError:
        fields = None
    key = fields.get(FIELD) if isinstance(fields, dict) else None
    if not isinstance(key, str):
        raise KeyUnavailable(f'secret {secret_id} must hold {{"{FIELD}": "sk_…"}} and does not')
    try:
        return check_key(SecretStr(key))
    except ValueError as error:
        raise KeyUnavailable(f"secret {secret_id}: {FIELD} {error}") from None


def check_key(key: SecretStr) -> SecretStr:
    """Return ``key`` if it can be a secret or restricted key (https://docs.stripe.com/keys).

    Raises:
        ValueError: says what a key looks like, never what this one is.
    """
    if _KEY.fullmatch(key.get_secret_value()) is None:
        raise ValueError(
            "is no Stripe key: it must begin with one of sk_live_, sk_test_, rk_live_, rk_test_ "
            "and hold no spaces or line breaks"
        )
    return key
