"""Brings a CloudFormation stack to what its template says, however often it is asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from botocore.exceptions import ClientError

from infra.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef

_FIRST_POLL_SECONDS: Final = 0.02
_LONGEST_POLL_SECONDS: Final = 5.0

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_UPDATABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_DEPLOYED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
_RESUMABLE: Final = frozenset({"UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED"})
_RETAINED: Final = (
    "Tables, bucket and secret may have been kept (DeletionPolicy): keep their data by importing "
    "them into the new stack, or remove them first if they are empty."
)


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """A deployed stack.

    Attributes:
        stack_id: its ARN.
        change: what this deployment did.
        values: the template's outputs by name.
    """

    stack_id: str
    change: Literal["created", "updated", "unchanged"]
    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """The output's value.

        Raises:
            StackError: the template has no such output, or its condition is off.
        """
        try:
            return self.values[name]
        except KeyError:
            known = ", ".join(sorted(self.values)) or "none"
            raise StackError(
                f"Stack {self.stack_id} has no output {name}. It has: {known}."
            ) from None


def template_path(name: str) -> Path:
    """The template `infra/<name>.yaml`, as installed.

    Raises:
        StackError: there is no such template.
    """
    directory = Path(__file__).parent
    path = directory / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in directory.glob("*.yaml")))
        raise StackError(f"There is no template named {name}. There are: {known}.")
    return path


def deploy(
    client: CloudFormationClient,
    stack_name: str,
    template: Path,
    parameters: Mapping[str, str],
    *,
    timeout_seconds: float = 1800.0,
    monotonic: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> StackOutputs:
    """Creates the stack, updates it, or finds that there is nothing to do.

    A parameter that is not named takes the template's default, also on an update. An operation that
    somebody else has under way is waited for first.

    Raises:
        StackError: the stack is in a state no update can leave, the deployment failed (with the
            reasons of the resources that failed), or it took longer than `timeout_seconds`.
        ClientError: CloudFormation refused the call itself, for example for want of permission.
    """
    watch = _Watch(client, monotonic, wait, monotonic() + timeout_seconds)
    body = template.read_text(encoding="utf-8")
    chosen: list[ParameterTypeDef] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
    ]
    before = _describe(client, stack_name)
    if before is not None:
        # By its id, which still answers when the operation under way is a deletion.
        before = watch.settled(before["StackId"])
    if before is None or before["StackStatus"] == "DELETE_COMPLETE":
        created = client.create_stack(
            StackName=stack_name, TemplateBody=body, Parameters=chosen, OnFailure="ROLLBACK"
        )
        return _outputs(watch.deployed(created["StackId"]), "created")
    if before["StackStatus"] not in _UPDATABLE:
        _fail(client, before)
    try:
        client.update_stack(StackName=stack_name, TemplateBody=body, Parameters=chosen)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
        return _outputs(before, "unchanged")
    return _outputs(watch.deployed(stack_name), "updated")


@dataclass(frozen=True, slots=True)
class _Watch:
    client: CloudFormationClient
    monotonic: Callable[[], float]
    wait: Callable[[float], None]
    deadline: float

    def settled(self, stack: str) -> StackTypeDef:
        """The stack once no operation is under way."""
        pause = _FIRST_POLL_SECONDS
        while True:
            found = self.client.describe_stacks(StackName=stack)["Stacks"][0]
            status = found["StackStatus"]
            # In review is a change set that waits for a person, not an operation.
            if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
                return found
            if self.monotonic() >= self.deadline:
                raise StackError(
                    f"Stack {found['StackName']} is still {status} after the time allowed. "
                    "CloudFormation goes on by itself: look at the stack's events, then deploy "
                    "again."
                )
            self.wait(pause)
            pause = min(pause * 2, _LONGEST_POLL_SECONDS)

    def deployed(self, stack: str) -> StackTypeDef:
        """The stack once the operation just begun has succeeded."""
        found = self.settled(stack)
        if found["StackStatus"] not in _DEPLOYED:
            _fail(self.client, found)
        return found


def _describe(client: CloudFormationClient, stack_name: str) -> StackTypeDef | None:
    try:
        return client.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        # CloudFormation has no error code of its own for this:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
        if "does not exist" in str(error):
            return None
        raise


def _outputs(
    stack: StackTypeDef, change: Literal["created", "updated", "unchanged"]
) -> StackOutputs:
    values = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    return StackOutputs(stack["StackId"], change, values)


def _fail(client: CloudFormationClient, stack: StackTypeDef) -> NoReturn:
    name, status = stack["StackName"], stack["StackStatus"]
    reasons = _failures(client, stack["StackId"]) or [
        stack.get("StackStatusReason") or "CloudFormation gives no reason."
    ]
    raise StackError(
        "\n".join(
            [f"Stack {name} is {status}.", *(f"  {reason}" for reason in reasons), _remedy(stack)]
        )
    )


def _remedy(stack: StackTypeDef) -> str:
    name, status = stack["StackName"], stack["StackStatus"]
    if status in _UPDATABLE:
        return "The stack is as it was before. Mend the cause and deploy again."
    if status in _RESUMABLE:
        return (
            "Mend the cause, run `aws cloudformation continue-update-rollback "
            f"--stack-name {name}`, then deploy again."
        )
    return (
        "No update can leave this state. Mend the cause, run `aws cloudformation delete-stack "
        f"--stack-name {name}`, then deploy again. {_RETAINED}"
    )


def _failures(client: CloudFormationClient, stack_id: str) -> list[str]:
    """What failed in the stack's latest operation, the cause first."""
    found: list[str] = []
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for event in (event for page in pages for event in page["StackEvents"]):
        status = event.get("ResourceStatus", "")
        reason = event.get("ResourceStatusReason", "no reason given")
        if event.get("PhysicalResourceId") == stack_id:
            if event.get("DetailedStatus") == "VALIDATION_FAILED":
                found += _validation_errors(client, stack_id)
            if status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}:
                break
        # The others were cancelled because one failed; they only hide which.
        elif status.endswith("_FAILED") and "cancelled" not in reason.lower():
            found.append(f"{event.get('LogicalResourceId')} {status}: {reason}")
    return found[::-1]


def _validation_errors(client: CloudFormationClient, stack_id: str) -> list[str]:
    """What CloudFormation's look before the latest operation objected to, say a name in use.

    The stack's events only point here:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeEvents.html.
    """
    pages = client.get_paginator("describe_events").paginate(
        StackName=stack_id, Filters={"FailedEvents": True}
    )
    failed = [event for page in pages for event in page["OperationEvents"]]
    return [
        f"{event.get('LogicalResourceId')}: {event.get('ValidationStatusReason')}"
        for event in failed
        if event.get("EventType") == "VALIDATION_ERROR"
        and event.get("OperationId") == failed[0].get("OperationId")
    ][::-1]
