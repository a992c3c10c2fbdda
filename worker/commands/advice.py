"""Advice on what AWS refuses: what a person does about it."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from worker.doctor.check import NO_ACCESS

_CREDENTIALS = (
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or start "
    "`siftbeam-billing local up` and paste its lines"
)
_DEPLOYED = (
    "is it deployed, and do AWS_REGION, SIFTBEAM_TABLE_PREFIX, SIFTBEAM_QUEUE_PREFIX and "
    "SIFTBEAM_BUCKET name it? `siftbeam-billing doctor` says what is missing"
)
_GONE = frozenset(
    {
        "ResourceNotFoundException",
        "NoSuchBucket",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403"})
_SKEWED = frozenset({"RequestExpired", "RequestTimeTooSkewed"})


def describe(error: ClientError | BotoCoreError) -> str:
    """An error of AWS in one line: what was asked, what AWS said, what to do."""
    said = f"AWS: {error}"
    code = ""
    if isinstance(error, ClientError):
        details = error.response["Error"]
        code = details["Code"]
        said = f"AWS {error.operation_name}: {code}: {details['Message']}"
    advice = _advice(error, code)
    return said if advice is None else f"{said}; {advice}"


def _advice(error: ClientError | BotoCoreError, code: str) -> str | None:
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return _CREDENTIALS
    if isinstance(error, NoRegionError):
        return "set AWS_REGION"
    if isinstance(error, EndpointConnectionError):
        return "look at the network, AWS_REGION and AWS_ENDPOINT_URL"
    if code in _GONE:
        return _DEPLOYED
    if code in _DENIED:
        return "these credentials may not do that; docs/security.md says what each command needs"
    if code in _SKEWED:
        return "this machine's clock is wrong: AWS takes no signature further off than 15 minutes"
    if code in NO_ACCESS:
        return f"AWS does not take these credentials: {_CREDENTIALS}"
    return None
