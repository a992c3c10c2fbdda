"""Deploying, against CloudFormation's answers as its API describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from infra.errors import StackError
from infra.stack import StackOutputs, deploy, template_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_cloudformation import CloudFormationClient

ID = "arn:aws:cloudformation:ap-northeast-1:000000000000:stack/data/1"
START = "2026-11-01T00:00:00Z"


class Time:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


class CloudFormation:
    def __init__(self, client: CloudFormationClient, stubber: Stubber, template: Path) -> None:
        self.client = client
        self.stubber = stubber
        self.template = template
        self.time = Time()

    def stands(self, status: str, **more: object) -> None:
        stack = {"StackId": ID, "StackName": "data", "CreationTime": START, "StackStatus": status}
        self.stubber.add_response("describe_stacks", {"Stacks": [stack | more]}, {"StackName": ANY})

    def absent(self) -> None:
        self.stubber.add_client_error(
            "describe_stacks", "ValidationError", "Stack with id data does not exist"
        )

    def accepts(self, operation: str, **more: object) -> None:
        expected = {
            "StackName": "data",
            "TemplateBody": "Resources: {}",
            "Parameters": [{"ParameterKey": "TablePrefix", "ParameterValue": "x-"}],
        }
        self.stubber.add_response(operation, {"StackId": ID}, expected | more)

    def happened(self, *events: tuple[str, str, str], token: str | None = None) -> None:
        """Events as (resource, status, reason), newest first; the stack's own is named `data`."""
        answer: dict[str, object] = {
            "StackEvents": [
                {
                    "StackId": ID,
                    "EventId": str(number),
                    "StackName": "data",
                    "LogicalResourceId": resource,
                    "PhysicalResourceId": ID if resource == "data" else resource.lower(),
                    "Timestamp": START,
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                }
                for number, (resource, status, reason) in enumerate(events)
            ]
        }
        if token:
            answer["NextToken"] = token
        self.stubber.add_response("describe_stack_events", answer)

    def deploy(self, parameters: Mapping[str, str] | None = None) -> StackOutputs:
        return deploy(
            self.client,
            "data",
            self.template,
            parameters or {"TablePrefix": "x-"},
            timeout_seconds=60,
            monotonic=self.time.monotonic,
            wait=self.time.wait,
        )


@pytest.fixture
def cloudformation(tmp_path: Path) -> Iterator[CloudFormation]:
    template = tmp_path / "data.yaml"
    template.write_text("Resources: {}")
    client = boto3.client(
        "cloudformation",
        region_name="ap-northeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with Stubber(client) as stubber:
        yield CloudFormation(client, stubber, template)
        stubber.assert_no_pending_responses()
    client.close()


OUTPUTS = [{"OutputKey": "BucketName", "OutputValue": "files"}]


def test_what_is_not_there_is_created(cloudformation: CloudFormation) -> None:
    cloudformation.absent()
    cloudformation.accepts("create_stack", OnFailure="ROLLBACK")
    cloudformation.stands("CREATE_IN_PROGRESS")
    cloudformation.stands("CREATE_IN_PROGRESS")
    cloudformation.stands("CREATE_COMPLETE", Outputs=OUTPUTS)

    deployed = cloudformation.deploy()

    assert deployed == StackOutputs(ID, "created", {"BucketName": "files"})
    assert deployed["BucketName"] == "files"
    with pytest.raises(StackError, match=r"no output BucketArn\. It has: BucketName"):
        deployed["BucketArn"]


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE"])
def test_nothing_to_do_is_success(cloudformation: CloudFormation, status: str) -> None:
    cloudformation.stands(status)
    cloudformation.stands(status, Outputs=OUTPUTS)
    cloudformation.stubber.add_client_error(
        "update_stack", "ValidationError", "No updates are to be performed."
    )

    assert cloudformation.deploy() == StackOutputs(ID, "unchanged", {"BucketName": "files"})


def test_a_rolled_back_update_can_be_updated(cloudformation: CloudFormation) -> None:
    cloudformation.stands("UPDATE_ROLLBACK_COMPLETE")
    cloudformation.stands("UPDATE_ROLLBACK_COMPLETE")
    cloudformation.accepts("update_stack")
    cloudformation.stands("UPDATE_IN_PROGRESS")
    cloudformation.stands("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    cloudformation.stands("UPDATE_COMPLETE", Outputs=OUTPUTS)

    assert cloudformation.deploy().change == "updated"


def test_somebody_elses_operation_is_waited_for(cloudformation: CloudFormation) -> None:
    cloudformation.stands("UPDATE_IN_PROGRESS")
    cloudformation.stands("UPDATE_IN_PROGRESS")
    cloudformation.stands("UPDATE_COMPLETE")
    cloudformation.accepts("update_stack")
    cloudformation.stands("UPDATE_COMPLETE", Outputs=OUTPUTS)

    assert cloudformation.deploy().change == "updated"


def test_after_somebody_elses_deletion_it_is_created(cloudformation: CloudFormation) -> None:
    cloudformation.stands("DELETE_IN_PROGRESS")
    cloudformation.stands("DELETE_IN_PROGRESS")
    cloudformation.stands("DELETE_COMPLETE")
    cloudformation.accepts("create_stack", OnFailure="ROLLBACK")
    cloudformation.stands("CREATE_COMPLETE", Outputs=OUTPUTS)

    assert cloudformation.deploy().change == "created"


def test_a_failed_creation_names_the_cause_and_the_remedy(cloudformation: CloudFormation) -> None:
    cloudformation.absent()
    cloudformation.accepts("create_stack", OnFailure="ROLLBACK")
    cloudformation.stands("ROLLBACK_COMPLETE")
    cloudformation.happened(
        ("data", "ROLLBACK_COMPLETE", ""),
        ("LedgerTable", "CREATE_FAILED", "Resource creation cancelled"),
        token="more",
    )
    cloudformation.happened(
        ("Bucket", "CREATE_FAILED", "siftbeam already exists"),
        ("data", "CREATE_IN_PROGRESS", "User Initiated"),
    )

    with pytest.raises(StackError) as raised:
        cloudformation.deploy()

    text = str(raised.value)
    assert "Stack data is ROLLBACK_COMPLETE" in text
    assert "Bucket CREATE_FAILED: siftbeam already exists" in text
    assert "cancelled" not in text
    assert "delete-stack --stack-name data" in text


def test_what_was_refused_before_it_began_is_named(cloudformation: CloudFormation) -> None:
    cloudformation.absent()
    cloudformation.accepts("create_stack", OnFailure="ROLLBACK")
    cloudformation.stands("ROLLBACK_COMPLETE")
    cloudformation.stubber.add_response(
        "describe_stack_events",
        {
            "StackEvents": [
                {
                    "StackId": ID,
                    "EventId": "1",
                    "StackName": "data",
                    "PhysicalResourceId": ID,
                    "Timestamp": START,
                    "ResourceStatus": "CREATE_FAILED",
                    "DetailedStatus": "VALIDATION_FAILED",
                }
            ]
        },
    )
    objection = {
        "EventType": "VALIDATION_ERROR",
        "OperationId": "2",
        "LogicalResourceId": "Bucket",
        "ValidationStatusReason": "siftbeam already exists",
    }
    cloudformation.stubber.add_response(
        "describe_events",
        {
            "OperationEvents": [
                {"EventType": "STACK_EVENT", "OperationId": "2"},
                objection,
                {**objection, "OperationId": "1", "ValidationStatusReason": "of long ago"},
            ]
        },
        {"StackName": ID, "Filters": {"FailedEvents": True}},
    )

    with pytest.raises(StackError) as raised:
        cloudformation.deploy()

    assert "Bucket: siftbeam already exists" in str(raised.value)
    assert "long ago" not in str(raised.value)


def test_a_failed_update_blames_this_update_only(cloudformation: CloudFormation) -> None:
    cloudformation.stands("UPDATE_COMPLETE")
    cloudformation.stands("UPDATE_COMPLETE")
    cloudformation.accepts("update_stack")
    cloudformation.stands("UPDATE_ROLLBACK_COMPLETE")
    cloudformation.happened(
        ("data", "UPDATE_ROLLBACK_COMPLETE", ""),
        ("DailyRule", "UPDATE_FAILED", "ScheduleExpression is not valid"),
        ("data", "UPDATE_IN_PROGRESS", "User Initiated"),
        ("Bucket", "CREATE_FAILED", "of long ago"),
    )

    with pytest.raises(StackError) as raised:
        cloudformation.deploy()

    assert "DailyRule UPDATE_FAILED: ScheduleExpression is not valid" in str(raised.value)
    assert "long ago" not in str(raised.value)
    assert "as it was before" in str(raised.value)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("ROLLBACK_COMPLETE", "delete-stack --stack-name data"),
        ("CREATE_FAILED", "delete-stack --stack-name data"),
        ("DELETE_FAILED", "delete-stack --stack-name data"),
        ("REVIEW_IN_PROGRESS", "delete-stack --stack-name data"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name data"),
    ],
)
def test_a_stack_that_no_update_can_mend_is_left_alone(
    cloudformation: CloudFormation, status: str, remedy: str
) -> None:
    cloudformation.stands(status)
    cloudformation.stands(status, StackStatusReason="the reason given")
    cloudformation.happened(("data", "CREATE_IN_PROGRESS", "User Initiated"))

    with pytest.raises(StackError) as raised:
        cloudformation.deploy()

    assert remedy in str(raised.value)
    assert "the reason given" in str(raised.value)


def test_the_wait_ends(cloudformation: CloudFormation) -> None:
    cloudformation.absent()
    cloudformation.accepts("create_stack", OnFailure="ROLLBACK")
    # Doubling from 20 ms to 5 s, a minute is over at the twentieth look.
    for _ in range(20):
        cloudformation.stands("CREATE_IN_PROGRESS")

    with pytest.raises(StackError, match="still CREATE_IN_PROGRESS"):
        cloudformation.deploy()

    assert 60 <= cloudformation.time.now <= 65


def test_a_refused_call_is_passed_on(cloudformation: CloudFormation) -> None:
    cloudformation.stubber.add_client_error("describe_stacks", "AccessDenied", "not authorized")

    with pytest.raises(ClientError, match="not authorized"):
        cloudformation.deploy()


def test_templates_are_found_by_name() -> None:
    assert template_path("data").name == "data.yaml"
    with pytest.raises(StackError, match=r"no template named dta\. There are: .*data"):
        template_path("dta")
