"""The data template as the emulator understands it: the same file that production deploys."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from infra.embedded_aws import EmbeddedAws
from infra.errors import StackError
from infra.stack import deploy, template_path
from tests.integration.conftest import Clients, deploy_data_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from tests.integration.conftest import DataStack

QUEUES = ("schedule", "daily-sizing", "monthly-billing", "file-processed", "stripe-events")
DEADLINE_SECONDS = 20.0


def receive(
    stack: DataStack, queue: str, count: int, *, visibility: int = 60
) -> list[MessageTypeDef]:
    """At least `count` messages, or whatever came before the deadline."""
    found: list[MessageTypeDef] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        found += stack.clients.sqs.receive_message(
            QueueUrl=stack.queue_url(queue),
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
            VisibilityTimeout=visibility,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        ).get("Messages", [])
    return found


def bodies(messages: Sequence[MessageTypeDef]) -> list[dict[str, object]]:
    return [json.loads(message["Body"]) for message in messages]


def counts(stack: DataStack, queue: str) -> tuple[int, int, int]:
    """Visible, in flight, delayed."""
    attributes = stack.clients.sqs.get_queue_attributes(
        QueueUrl=stack.queue_url(queue),
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )["Attributes"]
    return (
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )


class TestDeployment:
    def test_a_second_deployment_changes_nothing(self, stack: DataStack) -> None:
        assert stack.outputs.change == "created"

        again = stack.deploy()

        assert again.change == "unchanged"
        assert again.stack_id == stack.outputs.stack_id
        assert again.values == stack.outputs.values

    def test_an_update_keeps_the_rows_and_the_key_that_was_put_in(self, stack: DataStack) -> None:
        table, row = stack.table("customers"), {"customerId": {"S": "cus_1"}}
        stack.clients.dynamodb.put_item(TableName=table, Item=row)
        key = json.dumps({"STRIPE_SECRET_KEY": "sk_test_invented"})
        stack.clients.secrets.put_secret_value(SecretId=stack.secret_id, SecretString=key)

        updated = stack.deploy(DailySchedule="cron(30 0 * * ? *)")

        assert updated.change == "updated"
        rule = stack.clients.events.describe_rule(Name=f"{stack.name}-daily")
        assert rule["ScheduleExpression"] == "cron(30 0 * * ? *)"
        assert stack.clients.dynamodb.get_item(TableName=table, Key=row)["Item"] == row
        held = stack.clients.secrets.get_secret_value(SecretId=stack.secret_id)
        assert held["SecretString"] == key

    def test_what_exists_already_is_left_out(self, stack: DataStack) -> None:
        other = stack.deploy(StripeEventBusName="")
        assert other.change == "unchanged"

        dropped = stack.deploy(CreateCustomersTable="false", CreateHistoryTable="false")

        assert dropped.change == "updated"
        # Retained: the stack forgets the tables, the account does not.
        names = stack.clients.dynamodb.get_paginator("list_tables").paginate().build_full_result()
        assert {stack.table("customers"), stack.table("processing-history")} <= set(
            names["TableNames"]
        )

    def test_a_name_in_use_is_named(self, stack: DataStack) -> None:
        other = {**stack.parameters, "TablePrefix": f"{stack.name}x-"}
        for prefix in ("QueuePrefix", "StripeSecretName"):
            other[prefix] = f"{stack.name}x-"

        with pytest.raises(StackError, match=f"Bucket: .*{stack.bucket}.* already exists"):
            deploy(stack.clients.cloudformation, f"{stack.name}x", template_path("data"), other)

    def test_an_update_that_fails_names_the_cause_and_changes_nothing(
        self, stack: DataStack
    ) -> None:
        with pytest.raises(StackError, match=r"DailyRule UPDATE_FAILED: .*ScheduleExpression"):
            stack.deploy(DailySchedule="hourly")

        assert stack.deploy().change == "unchanged"


class TestTables:
    @pytest.mark.parametrize(
        ("table", "key", "indexes"),
        [
            ("customers", ("customerId",), {}),
            (
                "storage-usage-daily",
                ("customerId", "date"),
                {
                    "billingMonth-index": ("billingMonth", "customerId"),
                    "billingStatus-date-index": ("billingStatus", "date"),
                },
            ),
            (
                "storage-usage-monthly",
                ("customerId", "billingMonth"),
                {"billingStatus-month-index": ("billingStatus", "billingMonth")},
            ),
            ("processing-history", ("processing-historyId",), {}),
            (
                "billing-ledger",
                ("fact",),
                {
                    "customerEvent-timestamp-index": ("customerEvent", "timestamp"),
                    "open-nextAttemptAt-index": ("openShard", "nextAttemptAt"),
                },
            ),
        ],
    )
    def test_keys_and_indexes(
        self,
        stack: DataStack,
        table: str,
        key: tuple[str, ...],
        indexes: dict[str, tuple[str, ...]],
    ) -> None:
        found = stack.clients.dynamodb.describe_table(TableName=stack.table(table))["Table"]

        assert tuple(part["AttributeName"] for part in found["KeySchema"]) == key
        assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert {
            index["IndexName"]: tuple(part["AttributeName"] for part in index["KeySchema"])
            for index in found.get("GlobalSecondaryIndexes", [])
        } == indexes
        assert all(
            index["Projection"]["ProjectionType"] == "ALL"
            for index in found.get("GlobalSecondaryIndexes", [])
        )

    def test_the_open_index_holds_open_facts_only(self, stack: DataStack) -> None:
        ledger = stack.table("billing-ledger")
        stack.clients.dynamodb.put_item(TableName=ledger, Item={"fact": {"S": "closed"}})
        stack.clients.dynamodb.put_item(
            TableName=ledger,
            Item={"fact": {"S": "due"}, "openShard": {"S": "0"}, "nextAttemptAt": {"N": "10"}},
        )
        stack.clients.dynamodb.put_item(
            TableName=ledger,
            Item={"fact": {"S": "later"}, "openShard": {"S": "0"}, "nextAttemptAt": {"N": "30"}},
        )

        due = stack.clients.dynamodb.query(
            TableName=ledger,
            IndexName="open-nextAttemptAt-index",
            KeyConditionExpression="openShard = :shard AND nextAttemptAt <= :now",
            ExpressionAttributeValues={":shard": {"S": "0"}, ":now": {"N": "20"}},
        )

        assert [item["fact"]["S"] for item in due["Items"]] == ["due"]


class TestQueues:
    @pytest.mark.parametrize("queue", QUEUES)
    def test_attributes_and_redrive(self, stack: DataStack, queue: str) -> None:
        sqs = stack.clients.sqs
        attributes = sqs.get_queue_attributes(
            QueueUrl=stack.queue_url(queue), AttributeNames=["All"]
        )["Attributes"]
        dead = sqs.get_queue_attributes(
            QueueUrl=stack.queue_url(f"{queue}-dlq"), AttributeNames=["All"]
        )["Attributes"]

        assert json.loads(attributes["RedrivePolicy"]) == {
            "deadLetterTargetArn": dead["QueueArn"],
            "maxReceiveCount": 20,
        }
        assert json.loads(dead["RedriveAllowPolicy"]) == {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [attributes["QueueArn"]],
        }
        for each in (attributes, dead):
            assert each["MessageRetentionPeriod"] == str(14 * 24 * 3600)
            assert each["SqsManagedSseEnabled"] == "true"
            assert each["ReceiveMessageWaitTimeSeconds"] == "20"
            assert each["VisibilityTimeout"] == "60"
            assert "DenyWithoutTls" in each["Policy"]

    def test_the_twenty_first_receive_finds_it_in_the_dead_letter_queue(
        self, stack: DataStack
    ) -> None:
        url = stack.queue_url("daily-sizing")
        stack.clients.sqs.send_message(QueueUrl=url, MessageBody="poison")
        for expected in range(1, 21):
            (message,) = receive(stack, "daily-sizing", 1, visibility=0)
            assert message["Attributes"]["ApproximateReceiveCount"] == str(expected)

        assert "Messages" not in stack.clients.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0)
        (dead,) = receive(stack, "daily-sizing-dlq", 1)
        assert dead["Body"] == "poison"

    def test_a_full_message_fits_its_dead_letter_queue_with_attributes(
        self, stack: DataStack
    ) -> None:
        largest = "x" * 262144
        sqs = stack.clients.sqs
        sqs.send_message(QueueUrl=stack.queue_url("schedule"), MessageBody=largest)
        with pytest.raises(ClientError, match="262144"):
            sqs.send_message(QueueUrl=stack.queue_url("schedule"), MessageBody=largest + "x")

        sqs.send_message(
            QueueUrl=stack.queue_url("schedule-dlq"),
            MessageBody=largest,
            MessageAttributes={"deadLetter": {"DataType": "String", "StringValue": "y" * 2048}},
        )

        assert counts(stack, "schedule-dlq") == (1, 0, 0)

    def test_visible_in_flight_and_delayed_are_counted(self, stack: DataStack) -> None:
        url = stack.queue_url("monthly-billing")
        for body in "abcde":
            stack.clients.sqs.send_message(QueueUrl=url, MessageBody=body)
        stack.clients.sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=60)
        stack.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)

        assert counts(stack, "monthly-billing") == (3, 2, 1)


class TestOutputEvents:
    @pytest.mark.parametrize(
        "name",
        ["out.csv", "sp ace.csv", "pl+us.csv", "日本語 é.csv", "per%20cent&a=b.csv"],
    )
    def test_an_output_arrives_with_its_key_as_it_is(self, stack: DataStack, name: str) -> None:
        key = f"service/output/cus_1/run-1/{name}"
        for uninteresting in ("service/input/cus_1/run-1/in.csv", "service/outputs/x"):
            stack.clients.s3.put_object(Bucket=stack.bucket, Key=uninteresting, Body=b"1")
        stack.clients.s3.put_object(Bucket=stack.bucket, Key=key, Body=b"12345")

        (event,) = bodies(receive(stack, "file-processed", 1))

        assert event["detail-type"] == "Object Created"
        assert event["source"] == "aws.s3"
        assert str(event["time"]).endswith("Z")
        detail = event["detail"]
        assert isinstance(detail, dict)
        assert detail["bucket"]["name"] == stack.bucket
        assert detail["object"]["key"] == key
        assert detail["object"]["size"] == 5
        # The two outside the prefix were put first, so they would have arrived by now.
        assert counts(stack, "file-processed") == (0, 1, 0)


class TestTicks:
    @pytest.mark.parametrize("job", ["daily", "monthly", "resolve", "reconcile", "sweep"])
    def test_a_rule_sends_a_tick_that_carries_its_own_time(
        self, stack: DataStack, job: str
    ) -> None:
        # The emulator fires schedules by the wall clock, a minute apart at the soonest. So the
        # rule's own target, transformer and all, is hung on a rule that an event fires, beside a
        # plain target that shows what the event's own time was.
        events = stack.clients.events
        targets = events.list_targets_by_rule(Rule=f"{stack.name}-{job}")["Targets"]
        source = f"test.{stack.name}.{job}"
        events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(
            Rule=source,
            Targets=[*targets, {"Id": "plain", "Arn": stack.outputs["StripeEventsQueueArn"]}],
        )

        events.put_events(
            Entries=[{"Source": source, "DetailType": "Scheduled Event", "Detail": "{}"}]
        )

        (event,) = bodies(receive(stack, "stripe-events", 1))
        assert bodies(receive(stack, "schedule", 1)) == [
            {"kind": "tick", "version": 1, "job": job, "scheduledTime": event["time"]}
        ]
        assert str(event["time"]).endswith("Z")


class TestSecret:
    def test_it_is_a_placeholder_of_the_right_shape_until_a_key_is_put_in(
        self, stack: DataStack
    ) -> None:
        held = stack.clients.secrets.get_secret_value(SecretId=stack.secret_id)["SecretString"]

        assert json.loads(held) == {"STRIPE_SECRET_KEY": "replace-me"}


def test_two_emulators_side_by_side_do_not_disturb_each_other(stack: DataStack) -> None:
    with EmbeddedAws() as second:
        clients = Clients.of(second)
        other = deploy_data_stack(second, clients)
        clients.s3.put_object(Bucket=other.bucket, Key="service/output/c/r/o", Body=b"")

        assert len(receive(other, "file-processed", 1)) == 1
        with pytest.raises(ClientError, match="NoSuchBucket"):
            stack.clients.s3.list_objects_v2(Bucket=other.bucket)
        clients.close()

    assert stack.deploy().change == "unchanged"
