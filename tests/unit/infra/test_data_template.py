"""What the data template promises, read from the file itself."""

from __future__ import annotations

import json
import re

import pytest

from infra.stack import template_path
from tests.unit.infra.templates import Resource, read_template

QUEUES = ["schedule", "daily-sizing", "monthly-billing", "file-processed", "stripe-events"]
JOBS = ["daily", "monthly", "resolve", "reconcile", "sweep"]


TEMPLATE = read_template("data")


def of_type(kind: str) -> dict[str, Resource]:
    return {
        name: resource
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == kind
    }


def named(kind: str, property_: str, suffix: str) -> tuple[str, Resource]:
    """The resource whose name is a prefix parameter and this suffix."""
    (found,) = (
        (logical, resource)
        for logical, resource in of_type(kind).items()
        if re.fullmatch(
            r"\$\{\w+Prefix\}" + re.escape(suffix), resource["Properties"][property_]["Fn::Sub"]
        )
    )
    return found


def table(suffix: str) -> Resource:
    return named("AWS::DynamoDB::Table", "TableName", suffix)[1]


def targets() -> list[tuple[str, Resource]]:
    return [
        (name, target)
        for name, rule in of_type("AWS::Events::Rule").items()
        for target in rule["Properties"]["Targets"]
    ]


class TestParameters:
    @pytest.mark.parametrize(
        ("parameter", "default"),
        [
            ("TablePrefix", "siftbeam-"),
            ("QueuePrefix", "siftbeam-"),
            ("BucketName", "siftbeam"),
            ("StripeSecretName", "siftbeam/stripe/api-key"),
            ("OutputPrefix", "service/output/"),
            ("DailySchedule", "cron(0 1 * * ? *)"),
            ("MonthlySchedule", "cron(0 2 1 * ? *)"),
            ("SchedulesState", "ENABLED"),
            ("DeletionProtection", "true"),
        ],
    )
    def test_the_names_and_times_that_others_rely_on(self, parameter: str, default: str) -> None:
        assert TEMPLATE["Parameters"][parameter]["Default"] == default

    def test_it_can_be_sent_as_it_is(self) -> None:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
        assert template_path("data").stat().st_size <= 51_200


class TestTables:
    def test_these_and_no_others(self) -> None:
        names = {
            resource["Properties"]["TableName"]["Fn::Sub"]
            for resource in of_type("AWS::DynamoDB::Table").values()
        }
        assert names == {
            "${TablePrefix}customers",
            "${TablePrefix}storage-usage-daily",
            "${TablePrefix}storage-usage-monthly",
            "${TablePrefix}processing-history",
            "${TablePrefix}billing-ledger",
        }

    @pytest.mark.parametrize("logical", of_type("AWS::DynamoDB::Table"))
    def test_every_table_survives_accidents(self, logical: str) -> None:
        resource = TEMPLATE["Resources"][logical]
        properties = resource["Properties"]
        assert resource["DeletionPolicy"] == "Retain"
        assert resource["UpdateReplacePolicy"] == "Retain"
        assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
        assert properties["PointInTimeRecoverySpecification"] == {
            "PointInTimeRecoveryEnabled": True
        }
        assert properties["SSESpecification"] == {"SSEEnabled": True}
        assert properties["BillingMode"] == "PAY_PER_REQUEST"

    @pytest.mark.parametrize("suffix", ["storage-usage-daily", "storage-usage-monthly"])
    def test_usage_rows_expire_by_their_ttl(self, suffix: str) -> None:
        assert table(suffix)["Properties"]["TimeToLiveSpecification"] == {
            "AttributeName": "ttl",
            "Enabled": True,
        }

    @pytest.mark.parametrize("suffix", ["billing-ledger", "customers", "processing-history"])
    def test_nothing_else_expires(self, suffix: str) -> None:
        assert "TimeToLiveSpecification" not in table(suffix)["Properties"]

    @pytest.mark.parametrize(
        ("suffix", "key", "indexes"),
        [
            ("customers", "customerId:S", {}),
            (
                "storage-usage-daily",
                "customerId:S date:S",
                {
                    "billingMonth-index": "billingMonth:S customerId:S",
                    "billingStatus-date-index": "billingStatus:S date:S",
                },
            ),
            (
                "storage-usage-monthly",
                "customerId:S billingMonth:S",
                {"billingStatus-month-index": "billingStatus:S billingMonth:S"},
            ),
            ("processing-history", "processing-historyId:S", {}),
            (
                "billing-ledger",
                "fact:S",
                {
                    "customerEvent-timestamp-index": "customerEvent:S timestamp:N",
                    "open-nextAttemptAt-index": "openShard:S nextAttemptAt:N",
                },
            ),
        ],
    )
    def test_keys_and_indexes(self, suffix: str, key: str, indexes: dict[str, str]) -> None:
        properties = table(suffix)["Properties"]
        types = {
            each["AttributeName"]: each["AttributeType"]
            for each in properties["AttributeDefinitions"]
        }

        def shape(schema: list[dict[str, str]]) -> str:
            assert [part["KeyType"] for part in schema] == ["HASH", "RANGE"][: len(schema)]
            return " ".join(
                f"{part['AttributeName']}:{types[part['AttributeName']]}" for part in schema
            )

        found = properties.get("GlobalSecondaryIndexes", [])
        assert shape(properties["KeySchema"]) == key
        assert {index["IndexName"]: shape(index["KeySchema"]) for index in found} == indexes
        assert all(index["Projection"] == {"ProjectionType": "ALL"} for index in found)

    @pytest.mark.parametrize(
        ("suffix", "condition"),
        [("customers", "OwnsCustomersTable"), ("processing-history", "OwnsHistoryTable")],
    )
    def test_the_applications_tables_can_be_left_to_it(self, suffix: str, condition: str) -> None:
        assert table(suffix)["Condition"] == condition


class TestQueues:
    def test_these_and_no_others(self) -> None:
        names = {
            resource["Properties"]["QueueName"]["Fn::Sub"]
            for resource in of_type("AWS::SQS::Queue").values()
        }
        assert names == {"${QueuePrefix}" + n for q in QUEUES for n in (q, f"{q}-dlq")}

    @pytest.mark.parametrize("logical", of_type("AWS::SQS::Queue"))
    def test_every_queue_keeps_long_and_encrypts(self, logical: str) -> None:
        properties = TEMPLATE["Resources"][logical]["Properties"]
        assert properties["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert properties["SqsManagedSseEnabled"] is True
        assert properties["ReceiveMessageWaitTimeSeconds"] == 20
        assert properties["VisibilityTimeout"] == 60

    @pytest.mark.parametrize("queue", QUEUES)
    def test_every_queue_has_a_roomier_dead_letter_queue_of_its_own(self, queue: str) -> None:
        properties = named("AWS::SQS::Queue", "QueueName", queue)[1]["Properties"]
        dead_logical, dead = named("AWS::SQS::Queue", "QueueName", f"{queue}-dlq")

        assert properties["RedrivePolicy"] == {
            "deadLetterTargetArn": {"Fn::GetAtt": [dead_logical, "Arn"]},
            "maxReceiveCount": 20,
        }
        allow = dead["Properties"]["RedriveAllowPolicy"]
        assert allow["redrivePermission"] == "byQueue"
        (source,) = allow["sourceQueueArns"]
        assert source["Fn::Sub"].endswith(":${QueuePrefix}" + queue)
        assert properties["MaximumMessageSize"] == 262_144
        assert dead["Properties"]["MaximumMessageSize"] == 1_048_576

    def test_no_queue_speaks_without_tls(self) -> None:
        guarded = [
            queue["Ref"]
            for policy in of_type("AWS::SQS::QueuePolicy").values()
            if denies_without_tls(policy["Properties"]["PolicyDocument"], "sqs:*")
            for queue in policy["Properties"]["Queues"]
        ]
        # A queue holds one policy: named twice, one of the two would be lost.
        assert sorted(guarded) == sorted(of_type("AWS::SQS::Queue"))


def denies_without_tls(document: Resource, action: str) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Action"] == action
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in document["Statement"]
        if "Effect" in statement
    )


class TestRules:
    @pytest.mark.parametrize(("rule", "target"), targets())
    def test_what_cannot_be_delivered_goes_to_the_targets_own_dead_letter_queue(
        self, rule: str, target: Resource
    ) -> None:
        queue = target["Arn"]["Fn::GetAtt"][0]
        redrive = TEMPLATE["Resources"][queue]["Properties"]["RedrivePolicy"]
        assert target["DeadLetterConfig"]["Arn"] == redrive["deadLetterTargetArn"], rule
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 86_400,
            "MaximumRetryAttempts": 185,
        }

    @pytest.mark.parametrize(("rule", "target"), targets())
    def test_only_the_rule_itself_may_send_there(self, rule: str, target: Resource) -> None:
        queue = target["Arn"]["Fn::GetAtt"][0]
        dead = target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
        (policy,) = (
            policy["Properties"]
            for policy in of_type("AWS::SQS::QueuePolicy").values()
            if {"Ref": queue} in policy["Properties"]["Queues"]
        )
        assert {"Ref": dead} in policy["Queues"]
        statements = [
            statement["Fn::If"][1] if "Fn::If" in statement else statement
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        (allow,) = (each for each in statements if each["Effect"] == "Allow")
        assert allow["Principal"] == {"Service": "events.amazonaws.com"}
        assert allow["Action"] == "sqs:SendMessage"
        assert allow["Condition"]["StringEquals"] == {
            "aws:SourceAccount": {"Ref": "AWS::AccountId"}
        }
        senders = allow["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert {"Fn::GetAtt": [rule, "Arn"]} in senders
        serving = {r for r, t in targets() if t["Arn"] == target["Arn"]}
        assert {sender["Fn::GetAtt"][0] for sender in senders} == serving

    @pytest.mark.parametrize("job", JOBS)
    def test_a_tick_carries_the_rules_own_time(self, job: str) -> None:
        rule = named("AWS::Events::Rule", "Name", job)[1]["Properties"]
        (target,) = rule["Targets"]
        transformer = target["InputTransformer"]
        assert rule["ScheduleExpression"] == {"Ref": f"{job.capitalize()}Schedule"}
        assert rule["State"] == {"Ref": "SchedulesState"}
        assert transformer["InputPathsMap"] == {"time": "$.time"}
        assert json.loads(transformer["InputTemplate"].replace("<time>", '"T"')) == {
            "kind": "tick",
            "version": 1,
            "job": job,
            "scheduledTime": "T",
        }

    def test_outputs_arrive_untouched(self) -> None:
        rule = TEMPLATE["Resources"]["OutputCreatedRule"]["Properties"]
        (target,) = rule["Targets"]
        assert not {"Input", "InputPath", "InputTransformer"} & set(target)
        assert rule["EventPattern"] == {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [{"Ref": "BucketName"}]},
                "object": {"key": [{"prefix": {"Ref": "OutputPrefix"}}]},
            },
        }


class TestBucket:
    def test_it_announces_objects_and_keeps_to_itself(self) -> None:
        bucket = TEMPLATE["Resources"]["Bucket"]
        properties = bucket["Properties"]
        assert bucket["Condition"] == "OwnsBucket"
        assert bucket["UpdateReplacePolicy"] == "Retain"
        assert properties["NotificationConfiguration"] == {
            "EventBridgeConfiguration": {"EventBridgeEnabled": True}
        }
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        document = TEMPLATE["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]
        assert denies_without_tls(document, "s3:*")


class TestSecret:
    def test_a_placeholder_only_where_asked_for(self) -> None:
        secret = TEMPLATE["Resources"]["StripeSecret"]
        assert secret["Condition"] == "OwnsSecret"
        assert json.loads(secret["Properties"]["SecretString"]) == {
            "STRIPE_SECRET_KEY": "replace-me"
        }

    def test_no_key_in_the_template_or_its_parameters(self) -> None:
        text = template_path("data").read_text(encoding="utf-8")
        assert not re.search(r"(?:sk|rk)_(?:live|test)_|whsec_|AKIA", text)
        assert not [name for name in TEMPLATE["Parameters"] if "Key" in name]
