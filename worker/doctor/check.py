"""A check, what it finds, and all of them run side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSOError,
    TokenRetrievalError,
)

from worker.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_THREADS = 8
# What says that AWS cannot be used at all, whichever call it was:
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and each service's own.
NO_ACCESS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NO_ANSWER = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSOError,
    TokenRetrievalError,
)
ACCOUNT = "AWS account"
FIRST = "mend that first, then run doctor again"


class Standing(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that a check found.

    Args:
        standing: how it stands.
        detail: what was found, in a sentence.
        remedy: what mends it; None where nothing has to be.
        commands: the same as shell commands, in order; none where it takes more than commands.
    """

    standing: Standing
    detail: str
    remedy: str | None = None
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and the check it is from."""

    check: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """A named look at one thing.

    Args:
        name: the thing.
        look: yields what it finds; nothing means that all is well.
    """

    name: str
    look: Callable[[], Iterator[Verdict]]


class NotChecked(Exception):  # noqa: N818 - says what became of the check
    """Another check has found already what stands in this one's way; the message names it."""


def ok(detail: str) -> Verdict:
    """All is well, and this is how."""
    return Verdict(Standing.OK, detail)


def warning(detail: str, remedy: str, *commands: str) -> Verdict:
    """It works, but somebody should know."""
    return Verdict(Standing.WARNING, detail, remedy, commands)


def failed(detail: str, remedy: str, *commands: str) -> Verdict:
    """It does not work, or not safely."""
    return Verdict(Standing.FAILED, detail, remedy, commands)


def run(checks: Sequence[Check]) -> list[Finding]:
    """Run all checks side by side; every one gives at least one finding, in the checks' order."""
    with ThreadPoolExecutor(_THREADS) as crew:
        results = crew.map(_run_one, checks)
        return [
            Finding(check.name, verdict)
            for check, verdicts in zip(checks, results, strict=True)
            for verdict in verdicts
        ]


def _run_one(check: Check) -> list[Verdict]:
    verdicts: list[Verdict] = []
    try:
        verdicts.extend(check.look())
    except NotChecked as reason:
        verdicts.append(warning(f"not checked: {reason}", FIRST))
    except (ClientError, BotoCoreError) as error:
        verdicts.append(_unanswered(check, error))
    except BillingError as error:
        verdicts.append(failed(f"could not be checked: {error}", "see the reason given"))
    except Exception as error:  # noqa: BLE001 - a broken check must not hide the others
        verdicts.append(
            failed(
                f"could not be checked: {type(error).__name__}: {error}",
                "this is a defect of the check itself: report it",
            )
        )
    # Next to what is wrong, what is well would only confuse.
    troubles = [verdict for verdict in verdicts if verdict.standing is not Standing.OK]
    return troubles or verdicts or [ok("")]


def _unanswered(check: Check, error: ClientError | BotoCoreError) -> Verdict:
    """What AWS's refusal or silence says; what holds for every call is said by one check."""
    details = error.response["Error"] if isinstance(error, ClientError) else {}
    useless = isinstance(error, _NO_ANSWER) or details.get("Code") in NO_ACCESS
    if useless and check.name != ACCOUNT:
        return warning(f"not checked: AWS cannot be asked, see {ACCOUNT}", FIRST)
    if useless or not isinstance(error, ClientError):
        return failed(
            f"could not be checked: AWS: {error}",
            "set the AWS credentials (`aws sts get-caller-identity` shows whose they are) and "
            "AWS_REGION, on an emulator AWS_ENDPOINT_URL, and see that the endpoint can be reached "
            "from here",
        )
    return failed(
        f"could not be checked: {error.operation_name}: {details['Code']}: {details['Message']}",
        f"allow {error.operation_name} to whoever runs doctor, if it is the permission that lacks; "
        "else see the reason given",
    )
