"""Advice on what AWS and Stripe refuse: what a person does about it."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from worker.denied import DENIED
from worker.doctor.check import NO_ACCESS
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable

_CREDENTIALS = (
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or start "
    "`siftbeam-billing local up` and paste its lines"
)
_DEPLOYED = (
    "is it deployed, and do AWS_REGION, SIFTBEAM_TABLE_PREFIX, SIFTBEAM_QUEUE_PREFIX and "
    "SIFTBEAM_BUCKET name it? `siftbeam-billing doctor` says what is missing"
)
_DOCTOR = "`siftbeam-billing doctor` gives the commands that mend it"
_REFUSED = (
    "put a valid key into the secret, as docs/runbooks/rotate-key.md says, or (on a laptop) into "
    "SIFTBEAM_STRIPE_API_KEY"
)
_NO_STRIPE = (
    "see https://status.stripe.com and SIFTBEAM_STRIPE_API_BASE; `siftbeam-billing doctor` tells "
    "what the key may do"
)
_GONE = frozenset(
    {
        "ResourceNotFoundException",
        "NoSuchBucket",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    }
)
_SKEWED = frozenset({"RequestExpired", "RequestTimeTooSkewed"})


def describe(error: Exception) -> str:
    """An error in one line: what was asked, what was answered, and what to do where that is known.

    The text of a Stripe error is ours and holds no key.
    """
    if isinstance(error, (ClientError, BotoCoreError)):
        return _describe_aws(error)
    if isinstance(error, KeyUnavailable):
        return f"{error}; {_advise_on_key(error)}"
    if isinstance(error, StripeUnavailable):
        return f"{error}; {_REFUSED if error.refused else _NO_STRIPE}"
    return str(error)


def _describe_aws(error: ClientError | BotoCoreError) -> str:
    said = f"AWS: {error}"
    code = ""
    if isinstance(error, ClientError):
        details = error.response["Error"]
        code = details["Code"]
        said = f"AWS {error.operation_name}: {code}: {details['Message']}"
    advice = _advice(error, code)
    return said if advice is None else f"{said}; {advice}"


def _advise_on_key(error: KeyUnavailable) -> str:
    if error.code in _GONE:
        return (
            "put the key there, or name the secret by SIFTBEAM_STRIPE_SECRET_ID (on a laptop a "
            f"test key in SIFTBEAM_STRIPE_API_KEY will do); {_DOCTOR}"
        )
    if error.failure is None:
        return _DOCTOR
    return _advice(error.failure, error.code or "") or _DOCTOR


def _advice(error: ClientError | BotoCoreError, code: str) -> str | None:
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return _CREDENTIALS
    if isinstance(error, NoRegionError):
        return "set AWS_REGION"
    if isinstance(error, EndpointConnectionError):
        return "look at the network, AWS_REGION and AWS_ENDPOINT_URL"
    if code in _GONE:
        return _DEPLOYED
    if code in DENIED:
        return "these credentials may not do that; docs/security.md says what each command needs"
    if code in _SKEWED:
        return "this machine's clock is wrong: AWS takes no signature further off than 15 minutes"
    if code in NO_ACCESS:
        return f"AWS does not take these credentials: {_CREDENTIALS}"
    return None
