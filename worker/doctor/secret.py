"""The Stripe key: the secret's shape, and whether Stripe takes the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from worker.doctor.check import NO_ACCESS, NotChecked, failed, ok, warning
from worker.doctor.shell import aws
from worker.stripe_api.api_key import FIELD, ApiKey, KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from worker.doctor.check import Verdict
    from worker.settings import Settings
    from worker.stripe_api.connection import StripeConnection

# Never on a command line, where every process could read it.
_KEPT = "stripe-key.json"
_FILE = f'write {{"{FIELD}": "sk_…"}} into a file {_KEPT} that only you can read (`umask 077`)'


def look_at_secret(secrets: SecretsManagerClient, settings: Settings) -> Iterator[Verdict]:
    """Whether the secret holds a key; what it holds is never shown."""
    name = settings.stripe_secret_id
    if settings.stripe_api_key is not None:
        if "_live_" in settings.stripe_api_key.get_secret_value():
            yield warning(
                "SIFTBEAM_STRIPE_API_KEY holds a live key, which is for local work with test keys",
                f"put the live key into the secret {name} and unset SIFTBEAM_STRIPE_API_KEY",
            )
        else:
            yield ok("SIFTBEAM_STRIPE_API_KEY stands in for it")
        return
    try:
        key = ApiKey(secrets, name).current()
    except KeyUnavailable as error:
        failure = error.failure
        if failure is not None and (isinstance(failure, BotoCoreError) or error.code in NO_ACCESS):
            # No fault of the secret's: that AWS cannot be asked at all is said once.
            raise failure from None
        yield _no_key(error, name)
        return
    live = "_live_" in key.get_secret_value()[:8]
    yield ok(f"{name}: a {'live' if live else 'test'} key")


def _no_key(error: KeyUnavailable, name: str) -> Verdict:
    """What helps against a key that could not be read."""
    if error.code == "ResourceNotFoundException":
        create = aws(
            "secretsmanager", "create-secret", "--name", name, "--secret-string", f"file://{_KEPT}"
        )
        return failed(
            str(error),
            "set SIFTBEAM_STRIPE_SECRET_ID if it has another name; else " + _FILE,
            create,
            f"rm {_KEPT}",
        )
    if error.code is not None:
        return failed(
            str(error),
            f"let whoever runs doctor read {name} (secretsmanager:GetSecretValue, and kms:Decrypt "
            "where a key of yours encrypts it)",
        )
    return failed(str(error), _FILE, *_put(name))


def _put(name: str) -> tuple[str, str]:
    put = aws(
        "secretsmanager",
        "put-secret-value",
        "--secret-id",
        name,
        "--secret-string",
        f"file://{_KEPT}",
    )
    return put, f"rm {_KEPT}"


def look_at_stripe(stripe: StripeConnection, settings: Settings) -> Iterator[Verdict]:
    """Whether Stripe answers and takes the key."""
    try:
        account = stripe.account()
    except KeyUnavailable:
        raise NotChecked("there is no usable key, see the secret") from None
    except StripeUnavailable as error:
        if error.refused and settings.stripe_api_key is None:
            name = settings.stripe_secret_id
            yield failed(str(error), f"roll the key in Stripe, then {_FILE}", *_put(name))
        elif error.refused:
            yield failed(str(error), "put a valid test key into SIFTBEAM_STRIPE_API_KEY")
        else:
            yield failed(
                str(error),
                "see https://status.stripe.com and that Stripe can be reached from here "
                "(SIFTBEAM_STRIPE_API_BASE)",
            )
        return
    owner = account.id or "its account unknown: the key may not read it"
    yield ok(f"{owner}, {'live' if account.livemode else 'test'} mode")
