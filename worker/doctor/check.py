"""A check, what it finds, and all of them run side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from worker.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_THREADS = 8
DEPLOY = (
    "deploy infra/data.yaml (`make deploy STACKS=data`, on an emulator `siftbeam-billing "
    "provision`); CloudFormation does not notice what was removed by hand: there, delete the stack "
    "first, its tables are kept"
)


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
    """

    standing: Standing
    detail: str
    remedy: str | None = None


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


def warning(detail: str, remedy: str) -> Verdict:
    """It works, but somebody should know."""
    return Verdict(Standing.WARNING, detail, remedy)


def failed(detail: str, remedy: str) -> Verdict:
    """It does not work, or not safely."""
    return Verdict(Standing.FAILED, detail, remedy)


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
        verdicts.append(warning(f"not checked: {reason}", "mend that first, then run doctor again"))
    except ClientError as error:
        verdicts.append(_refused(error))
    except BotoCoreError as error:
        verdicts.append(
            failed(
                f"could not be checked: AWS: {error}",
                "set the AWS credentials and AWS_REGION (on an emulator AWS_ENDPOINT_URL), and "
                "see that the endpoint can be reached from here",
            )
        )
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


def _refused(error: ClientError) -> Verdict:
    details = error.response["Error"]
    return failed(
        f"could not be checked: {error.operation_name}: {details['Code']}: {details['Message']}",
        f"allow {error.operation_name} to whoever runs doctor, if it is the permission that lacks; "
        "else see the reason given",
    )
