"""An installation in good health, and everything that may break in it, one thing at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from infra.stack import deploy, template_path
from infra.stripe_simulator import DEFAULT_KEY, Match, Outage, Rule, Seed, SeedCustomer, SeedMeter
from tests.integration.conftest import session_of
from tests.integration.deployable import without_scaling
from tests.integration.operator import Answer, introduce
from tests.integration.scenario import bill_body, file_body
from worker.controls import Control, Kind
from worker.doctor.image_version import PACKAGE
from worker.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import StateValueType

    from tests.integration.conftest import DataStack
    from tests.integration.operator import Operator
    from tests.integration.scenario import Scenario
    from worker.clock import Clock

GIB = 1 << 30
GRACE = 72
# What the data and the compute template ask for alike.
SHARED_PARAMETERS = ("TablePrefix", "QueuePrefix", "BucketName", "StripeSecretName")


class Finding(Answer):
    check: str
    standing: str
    detail: str
    remedy: str | None
    commands: list[str]


class Examined(Answer):
    ok: bool
    findings: list[Finding]


@dataclass(frozen=True)
class Patient:
    """An installation in good health, to be broken in one place."""

    operator: Operator
    scenario: Scenario
    meters: dict[str, str]
    directory: Path
    heal: dict[str, Callable[[], None]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.scenario.stack.name

    def examine(self) -> tuple[int, list[Finding]]:
        """The exit code, and what is not ok: as a process of its own would say."""
        ran = self.operator.run("doctor", "--json")
        answer = Examined.model_validate_json(ran.output)
        assert answer.ok is (ran.code == 0)
        return ran.code, [finding for finding in answer.findings if finding.standing != "ok"]

    def begin_anew(self) -> None:
        """A new process: what it knew of AWS and Stripe is forgotten, its settings stay."""
        self.operator.use(**self.operator.changes)

    def set_queue(self, queue: str, **attributes: str) -> None:
        stack = self.scenario.stack
        # The stubs know attribute names as literals, and a test names them by keyword.
        stack.clients.sqs.set_queue_attributes(
            QueueUrl=stack.queue_url(queue),
            Attributes=attributes,  # type: ignore[arg-type]  # as said above
        )

    def arn(self, queue: str) -> str:
        return f"arn:aws:sqs:ap-northeast-1:000000000000:{self.name}-{queue}"

    def keep(self, secret: str) -> None:
        """Put a text into the secret."""
        stack = self.scenario.stack
        stack.clients.secrets.put_secret_value(SecretId=stack.secret_id, SecretString=secret)

    def deploy_worker(self, **parameters: str) -> None:
        """The compute template, under this installation's names and settings."""
        stack = self.scenario.stack
        template = self.directory / "compute.yaml"
        template.write_text(without_scaling(template_path("compute").read_text()))
        ec2 = session_of(stack.aws).client("ec2", endpoint_url=stack.aws.url)
        wanted = {
            "VpcId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
            "SubnetIds": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
            "ImageUri": f"registry.example/worker@sha256:{'0' * 64}",
            "ImageVersion": f"{version(PACKAGE)}+0123456789ab",
            "StripeGraceHours": str(GRACE),
            **{name: stack.parameters[name] for name in SHARED_PARAMETERS},
            **parameters,
        }
        ec2.close()
        deploy(stack.clients.cloudformation, f"{stack.name}-compute", template, wanted)

    def observe(self) -> str:
        """Deploy the alarms, and a queue that hears them; returns their topic's ARN."""
        stack = self.scenario.stack
        topic = observe(stack)
        sns = session_of(stack.aws).client("sns", endpoint_url=stack.aws.url)
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.arn("stripe-events"))
        sns.close()
        return topic

    def make(self, words: Sequence[str]) -> None:
        """What a checkout's Makefile does: deploy this version, or install the checkout."""
        match words:
            case ["deploy", "STACKS=image compute"]:
                self.deploy_worker()
            case ["deploy", "STACKS=observability"]:
                self.observe()
            case ["install"]:
                self.heal["install"]()
            case _:
                raise AssertionError(words)

    def remove_table(self, table: str) -> str:
        stack = self.scenario.stack
        name = stack.table(table)
        stack.clients.dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        stack.clients.dynamodb.delete_table(TableName=name)
        return name


def observe(stack: DataStack) -> str:
    """Deploy the alarms; returns their topic's ARN."""
    outputs = deploy(
        stack.clients.cloudformation,
        f"{stack.name}-observability",
        template_path("observability"),
        {"QueuePrefix": stack.parameters["QueuePrefix"]},
    )
    return outputs["AlarmTopicArn"]


def healthy(operator: Operator, scenario: Scenario, directory: Path) -> Patient:
    stack, clients = scenario.stack, scenario.stack.clients
    for table in ("storage-usage-daily", "storage-usage-monthly"):
        expire(scenario, table, "ttl", on=True)
    for table in (
        "storage-usage-daily",
        "storage-usage-monthly",
        "billing-ledger",
        "processing-history",
        "customers",
    ):
        clients.dynamodb.update_continuous_backups(
            TableName=stack.table(table),
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
    clients.secrets.put_secret_value(
        SecretId=stack.secret_id, SecretString=json.dumps({"STRIPE_SECRET_KEY": DEFAULT_KEY})
    )
    operator.use(stripe_api_key=None, stripe_grace_hours=GRACE)
    scenario.simulator.change_settings(grace_hours=GRACE)
    meters = scenario.worker.stripe.keyed_client().client.v1.billing.meters.list()
    return Patient(
        operator, scenario, {meter.event_name: meter.id for meter in meters.data}, directory
    )


def expire(scenario: Scenario, table: str, attribute: str, *, on: bool) -> None:
    stack = scenario.stack
    now = stack.clients.dynamodb.describe_time_to_live(TableName=stack.table(table))
    if (now["TimeToLiveDescription"].get("TimeToLiveStatus") == "ENABLED") is not on:
        stack.clients.dynamodb.update_time_to_live(
            TableName=stack.table(table),
            TimeToLiveSpecification={"Enabled": on, "AttributeName": attribute},
        )


# --- Queues ---------------------------------------------------------------------------------------


def no_redrive(patient: Patient) -> None:
    patient.set_queue("daily-sizing", RedrivePolicy="")


def no_policy(patient: Patient) -> None:
    patient.set_queue("file-processed", Policy="")


def no_tick_policy(patient: Patient) -> None:
    patient.set_queue("schedule", Policy="")


def other_dead_letter_queue(patient: Patient) -> None:
    policy = {"deadLetterTargetArn": patient.arn("schedule-dlq"), "maxReceiveCount": 20}
    patient.set_queue("daily-sizing", RedrivePolicy=json.dumps(policy))


def impatient_redrive(patient: Patient) -> None:
    policy = {"deadLetterTargetArn": patient.arn("daily-sizing-dlq"), "maxReceiveCount": 3}
    patient.set_queue("daily-sizing", RedrivePolicy=json.dumps(policy))


def kept_by_a_closed_key(patient: Patient) -> None:
    patient.set_queue("schedule", KmsMasterKeyId="alias/aws/sqs")


def kept_by_a_key_of_ours(patient: Patient) -> None:
    patient.set_queue("daily-sizing", KmsMasterKeyId="alias/billing")


def policy_for_other_rules(patient: Patient) -> None:
    """The stack was deployed anew under another prefix, and the queue put back by hand."""
    stack = patient.scenario.stack
    attributes = stack.clients.sqs.get_queue_attributes(
        QueueUrl=stack.queue_url("schedule"), AttributeNames=["Policy"]
    )["Attributes"]
    patient.set_queue(
        "schedule", Policy=attributes["Policy"].replace(f"{patient.name}-sweep", "earlier-sweep")
    )


def refusing_dead_letter_queue(patient: Patient) -> None:
    other = {"redrivePermission": "byQueue", "sourceQueueArns": [patient.arn("schedule")]}
    patient.set_queue("monthly-billing-dlq", RedriveAllowPolicy=json.dumps(other))


def short_retention(patient: Patient) -> None:
    patient.set_queue("daily-sizing-dlq", MessageRetentionPeriod="345600")


def small_dead_letters(patient: Patient) -> None:
    patient.set_queue("daily-sizing-dlq", MaximumMessageSize="1024")


def no_queue(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.sqs.delete_queue(QueueUrl=stack.queue_url("schedule"))


def no_dead_letter_queue(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.sqs.delete_queue(QueueUrl=stack.queue_url("stripe-events-dlq"))


# --- Tables ---------------------------------------------------------------------------------------


def never_expires(patient: Patient) -> None:
    expire(patient.scenario, "storage-usage-daily", "ttl", on=False)


def expires_otherwise(patient: Patient) -> None:
    expire(patient.scenario, "storage-usage-monthly", "ttl", on=False)
    expire(patient.scenario, "storage-usage-monthly", "expiresAt", on=True)


def _without_index(patient: Patient, table: str, index: str) -> None:
    stack = patient.scenario.stack
    stack.clients.dynamodb.update_table(
        TableName=stack.table(table), GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": index}}]
    )


def no_month_index(patient: Patient) -> None:
    _without_index(patient, "storage-usage-daily", "billingMonth-index")


def no_status_index(patient: Patient) -> None:
    _without_index(patient, "storage-usage-daily", "billingStatus-date-index")


def no_monthly_index(patient: Patient) -> None:
    _without_index(patient, "storage-usage-monthly", "billingStatus-month-index")


def no_ledger_index(patient: Patient) -> None:
    _without_index(patient, "billing-ledger", "customerEvent-timestamp-index")


def narrow_index(patient: Patient) -> None:
    stack = patient.scenario.stack
    _without_index(patient, "billing-ledger", "open-nextAttemptAt-index")
    stack.clients.dynamodb.update_table(
        TableName=stack.table("billing-ledger"),
        AttributeDefinitions=[
            {"AttributeName": "openShard", "AttributeType": "S"},
            {"AttributeName": "nextAttemptAt", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "open-nextAttemptAt-index",
                    "KeySchema": [
                        {"AttributeName": "openShard", "KeyType": "HASH"},
                        {"AttributeName": "nextAttemptAt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )


def no_history(patient: Patient) -> None:
    patient.remove_table("processing-history")


def no_daily_table(patient: Patient) -> None:
    patient.remove_table("storage-usage-daily")


def no_monthly_table(patient: Patient) -> None:
    patient.remove_table("storage-usage-monthly")


def no_ledger(patient: Patient) -> None:
    patient.remove_table("billing-ledger")


def no_customers_table(patient: Patient) -> None:
    patient.remove_table("customers")


def other_key(patient: Patient) -> None:
    patient.scenario.stack.clients.dynamodb.create_table(
        TableName=patient.remove_table("processing-history"),
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "processingHistoryId", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "processingHistoryId", "KeyType": "HASH"}],
    )


def deletable_ledger(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.dynamodb.update_table(
        TableName=stack.table("billing-ledger"), DeletionProtectionEnabled=False
    )


def no_backups(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.dynamodb.update_continuous_backups(
        TableName=stack.table("billing-ledger"),
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )


# --- Bucket and rules -----------------------------------------------------------------------------


def deaf_bucket(patient: Patient) -> None:
    """It tells another queue of what is removed, and must go on to."""
    stack = patient.scenario.stack
    stack.clients.s3.put_bucket_notification_configuration(
        Bucket=stack.bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": patient.arn("stripe-events"), "Events": ["s3:ObjectRemoved:*"]}
            ]
        },
    )


def other_bucket(patient: Patient) -> None:
    patient.operator.use(stripe_api_key=None, stripe_grace_hours=GRACE, bucket="there-is-none")


def disabled_rule(patient: Patient) -> None:
    patient.scenario.stack.clients.events.disable_rule(Name=f"{patient.name}-sweep")


def disabled_output_rule(patient: Patient) -> None:
    patient.scenario.stack.clients.events.disable_rule(Name=f"{patient.name}-output-created")


def no_rule(patient: Patient) -> None:
    _remove_rule(patient, "resolve", "schedule")


def no_output_rule(patient: Patient) -> None:
    _remove_rule(patient, "output-created", "file-processed")


def _remove_rule(patient: Patient, rule: str, target: str) -> None:
    events = patient.scenario.stack.clients.events
    events.remove_targets(Rule=f"{patient.name}-{rule}", Ids=[target])
    events.delete_rule(Name=f"{patient.name}-{rule}")


def rule_without_target(patient: Patient) -> None:
    patient.scenario.stack.clients.events.remove_targets(
        Rule=f"{patient.name}-daily", Ids=["schedule"]
    )


def target_without_dead_letters(patient: Patient) -> None:
    """As the console makes it."""
    patient.scenario.stack.clients.events.put_targets(
        Rule=f"{patient.name}-daily",
        Targets=[{"Id": "schedule", "Arn": patient.arn("schedule")}],
    )


def rule_of_another_prefix(patient: Patient) -> None:
    stack = patient.scenario.stack
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [stack.bucket]}, "object": {"key": [{"prefix": "results/"}]}},
    }
    stack.clients.events.put_rule(
        Name=f"{patient.name}-output-created", EventPattern=json.dumps(pattern), State="ENABLED"
    )


def default_grace(patient: Patient) -> None:
    patient.operator.use(stripe_api_key=None)


def drafts_of_a_day(patient: Patient) -> None:
    patient.scenario.simulator.change_settings(grace_hours=24)
    introduce(patient.scenario, "cus_A")


# --- The worker's service -------------------------------------------------------------------------


def older_worker(patient: Patient) -> None:
    patient.deploy_worker(ImageVersion="0.0.9+ba9876543210")


def newer_worker(patient: Patient) -> None:
    """Whoever runs the commands has not updated their checkout."""
    patient.deploy_worker(ImageVersion="99.10.0+ba9876543210")
    patient.heal["install"] = patient.deploy_worker


def worker_of_unknown_version(patient: Patient) -> None:
    patient.deploy_worker(ImageVersion="")
    patient.heal["told"] = patient.deploy_worker


def worker_of_other_settings(patient: Patient) -> None:
    """Deployed otherwise than the default, and not exported here."""
    patient.deploy_worker(AverageOver="calendar", Send="verify")


def unheard_alarms(patient: Patient) -> None:
    observe(patient.scenario.stack)
    patient.heal["told"] = lambda: (patient.observe(), None)[1]


def muted_alarm(patient: Patient) -> None:
    patient.observe()
    cloudwatch = _cloudwatch(patient)
    cloudwatch.disable_alarm_actions(AlarmNames=[f"{patient.name}-StripeMeterSendFailure"])
    cloudwatch.close()


def removed_alarm(patient: Patient) -> None:
    patient.observe()
    cloudwatch = _cloudwatch(patient)
    cloudwatch.delete_alarms(AlarmNames=[f"{patient.name}-NoWorker"])
    cloudwatch.close()
    formation = patient.scenario.stack.clients.cloudformation
    stack = f"{patient.name}-observability"
    patient.heal["told"] = lambda: (formation.delete_stack(StackName=stack), None)[1]


def ringing_alarm(patient: Patient) -> None:
    patient.observe()
    _ring(patient, "ALARM")
    patient.heal["told"] = lambda: _ring(patient, "OK")


def _ring(patient: Patient, state: StateValueType) -> None:
    cloudwatch = _cloudwatch(patient)
    cloudwatch.set_alarm_state(
        AlarmName=f"{patient.name}-DeadLetters", StateValue=state, StateReason="3 letters"
    )
    cloudwatch.close()


def _cloudwatch(patient: Patient) -> CloudWatchClient:
    aws = patient.scenario.stack.aws
    client: CloudWatchClient = session_of(aws).client("cloudwatch", endpoint_url=aws.url)
    return client


# --- Where it looks -------------------------------------------------------------------------------


def other_queue_prefix(patient: Patient) -> None:
    _with_setting(patient, "QUEUE_PREFIX", "elsewhere-")


def other_table_prefix(patient: Patient) -> None:
    _with_setting(patient, "TABLE_PREFIX", "elsewhere-")


def _with_setting(patient: Patient, name: str, value: str, right: str | None = None) -> None:
    right = right or patient.scenario.stack.environment()[f"SIFTBEAM_{name}"]
    patient.operator.export(f"SIFTBEAM_{name}", value)
    patient.heal["told"] = lambda: patient.operator.export(f"SIFTBEAM_{name}", right)


# --- The key, and Stripe --------------------------------------------------------------------------


def secret_of_another_shape(patient: Patient) -> None:
    patient.keep(json.dumps({"key": DEFAULT_KEY}))
    _write_key(patient)


def publishable_key(patient: Patient) -> None:
    patient.keep(json.dumps({"STRIPE_SECRET_KEY": "pk_test_1"}))
    _write_key(patient)


def no_secret(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.secrets.delete_secret(SecretId=stack.secret_id, ForceDeleteWithoutRecovery=True)
    _write_key(patient)


def unknown_key(patient: Patient) -> None:
    patient.keep(json.dumps({"STRIPE_SECRET_KEY": "sk_test_rolled"}))
    _write_key(patient)


def _write_key(patient: Patient) -> None:
    """What the remedy leaves to an editor: the file that it then names."""
    content = json.dumps({"STRIPE_SECRET_KEY": DEFAULT_KEY})
    patient.heal["told"] = lambda: (Path("stripe-key.json").write_text(content), None)[1]


def stripe_down(patient: Patient) -> None:
    simulator = patient.scenario.simulator
    simulator.add_faults(Rule(match=Match(), fault=Outage(status=503), times=None))
    patient.heal["told"] = simulator.clear_faults


def archived_meter(patient: Patient) -> None:
    client = patient.scenario.worker.stripe.keyed_client().client
    client.v1.billing.meters.deactivate(patient.meters["storage-usage"])


def counting_meter(patient: Patient) -> None:
    archived_meter(patient)
    # A right one that was archived would be the better remedy: it goes as well.
    patient.scenario.simulator.reset()
    patient.scenario.simulator.change_settings(grace_hours=GRACE)
    patient.scenario.simulator.seed(
        Seed(
            meters=(
                SeedMeter(
                    event_name="storage-usage",
                    formula="count",
                    unit_amount=Decimal(10),
                    divide_by=GIB,
                ),
                SeedMeter(event_name="file_processed", unit_amount=Decimal("0.001")),
            )
        )
    )


def no_price(patient: Patient) -> None:
    client = patient.scenario.worker.stripe.keyed_client().client
    for price in client.v1.prices.list({"recurring": {"meter": patient.meters["storage-usage"]}}):
        client.v1.prices.update(price.id, {"active": False})


def fast_clock(patient: Patient) -> None:
    clock = patient.operator.installation.clock
    patient.operator.installation.__dict__["clock"] = Skewed(clock, timedelta(minutes=7))


@dataclass(frozen=True)
class Skewed:
    """A clock that goes wrong by so much."""

    right: Clock
    by: timedelta

    def now(self) -> datetime:
        return self.right.now() + self.by

    def monotonic(self) -> float:
        return self.right.monotonic()

    def sleep(self, seconds: float) -> None:
        self.right.sleep(seconds)


# --- Customers ------------------------------------------------------------------------------------


def stranger(patient: Patient) -> None:
    """Whom Stripe does not know, and who holds files all the same."""
    patient.scenario.customers("cus_A")
    patient.scenario.put("customers", {"customerId": "cus_Gone"})
    patient.scenario.day("cus_Gone", "2026-10-31", GIB)


def unknown_here(patient: Patient) -> None:
    patient.scenario.simulator.seed(Seed(customers=(SeedCustomer(id="cus_Elsewhere"),)))


def no_subscription(patient: Patient) -> None:
    introduce(patient.scenario, "cus_A")
    patient.scenario.customers("cus_B")
    for customer in ("cus_A", "cus_B"):
        patient.scenario.day(customer, "2026-10-31", GIB)


def ended_subscription(patient: Patient) -> None:
    """Cancelled in the middle of a month, and the files are still there."""
    scenario = patient.scenario
    introduce(scenario, "cus_A")
    client = scenario.worker.stripe.keyed_client().client
    scenario.wall.advance(timedelta(days=10))
    for subscription in client.v1.subscriptions.list({"customer": "cus_A"}).data:
        client.v1.subscriptions.cancel(subscription.id)
    scenario.wall.advance(timedelta(days=4))
    scenario.day("cus_A", "2026-11-14", GIB)


def other_event_name(patient: Patient) -> None:
    _with_setting(patient, "STORAGE_EVENT_NAME", "storage_usage", right="storage-usage")


def no_file_subscription(patient: Patient) -> None:
    """Subscribed to storage alone, and a run was billed."""
    scenario = patient.scenario
    scenario.customers("cus_A")
    _subscribe_to(patient, "storage-usage", "cus_A")
    scenario.day("cus_A", "2026-10-31", GIB)
    scenario.upload("service/input/cus_A/run-1/in.bin", 10)
    key = "service/output/cus_A/run-1/out.bin"
    at = datetime(2026, 10, 20, tzinfo=UTC)
    assert isinstance(scenario.handle(file_body(scenario.stack.bucket, key, at)), Done)


def _subscribe_to(patient: Patient, event_name: str, customer: str) -> None:
    client = patient.scenario.worker.stripe.keyed_client().client
    (price,) = client.v1.prices.list({"recurring": {"meter": patient.meters[event_name]}}).data
    client.v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": price.id}],
            "backdate_start_date": int(datetime(2026, 10, 1, tzinfo=UTC).timestamp()),
        }
    )


def subscribed_to_the_old_meter(patient: Patient) -> None:
    """A meter was replaced; the customer still pays the price of the archived one."""
    scenario = patient.scenario
    introduce(scenario, "cus_A")
    scenario.day("cus_A", "2026-10-31", GIB)
    archived_meter(patient)
    client = scenario.worker.stripe.keyed_client().client
    meter = client.v1.billing.meters.create(
        {
            "display_name": "Storage",
            "event_name": "storage-usage",
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
            "value_settings": {"event_payload_key": "value"},
        }
    )
    client.v1.prices.create(
        {
            "currency": "usd",
            "product": client.v1.products.create({"name": "Storage"}).id,
            "unit_amount": 10,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "transform_quantity": {"divide_by": GIB, "round": "up"},
        }
    )


# --- What somebody should know --------------------------------------------------------------------


def paused(patient: Patient) -> None:
    control = Control("ana@siftbeam.example", "prices", patient.scenario.wall())
    patient.operator.installation.controls.put(Kind.PAUSE, None, control)


def paused_customer(patient: Patient) -> None:
    control = Control("ana@siftbeam.example", "prices", patient.scenario.wall())
    patient.operator.installation.controls.put(Kind.PAUSE, "cus_A", control)


def shadow(patient: Patient) -> None:
    patient.operator.use(stripe_api_key=None, stripe_grace_hours=GRACE, send="shadow")


def days_missing(patient: Patient) -> None:
    scenario = patient.scenario
    introduce(scenario, "cus_A")
    for day in (20, 21, 24, 25, 26, 27, 28, 29, 30, 31):
        scenario.day("cus_A", f"2026-10-{day}", 0)
    patient.heal["then"] = scenario.drain


def late_row(patient: Patient) -> None:
    scenario = patient.scenario
    introduce(scenario, "cus_A")
    scenario.month("cus_A", "2026-10", [GIB] * 30)
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    scenario.day("cus_A", "2026-10-31", 32 * GIB)
    patient.heal["then"] = scenario.drain


@dataclass(frozen=True)
class Breakage:
    """One thing that is wrong.

    Args:
        breaks: does it.
        check: the only check that says so; ``{}`` is the installation's name.
        detail: in what it says.
        standing: how it stands then.
        beyond_the_template: what is then as its operator has it, not as the template would.
    """

    breaks: Callable[[Patient], None]
    check: str
    detail: str
    standing: str = "failed"
    beyond_the_template: frozenset[str] = frozenset()


BREAKAGES: Sequence[Breakage] = (
    Breakage(no_redrive, "queue {}-daily-sizing", "no redrive policy"),
    Breakage(no_policy, "queue {}-file-processed", "does not let EventBridge send"),
    Breakage(no_tick_policy, "queue {}-schedule", "does not let EventBridge send"),
    Breakage(other_dead_letter_queue, "queue {}-daily-sizing", "schedule-dlq, not to"),
    Breakage(impatient_redrive, "queue {}-daily-sizing", "after 3 receipts"),
    Breakage(short_retention, "queue {}-daily-sizing-dlq", "345,600"),
    Breakage(small_dead_letters, "queue {}-daily-sizing-dlq", "1,024"),
    Breakage(kept_by_a_closed_key, "queue {}-schedule", "encrypted with alias/aws/sqs"),
    Breakage(kept_by_a_key_of_ours, "queue {}-daily-sizing", "KMS key alias/billing", "warning"),
    Breakage(policy_for_other_rules, "queue {}-schedule", "send for {}-sweep:"),
    Breakage(
        refusing_dead_letter_queue,
        "queue {}-monthly-billing-dlq",
        "does not take dead letters of {}-monthly-billing",
    ),
    Breakage(no_queue, "queue {}-schedule", "no such queue"),
    Breakage(no_dead_letter_queue, "queue {}-stripe-events-dlq", "no such queue"),
    Breakage(never_expires, "table {}-storage-usage-daily", "never expire"),
    Breakage(expires_otherwise, "table {}-storage-usage-monthly", "'expiresAt'"),
    Breakage(no_month_index, "table {}-storage-usage-daily", "no index billingMonth-index"),
    Breakage(no_status_index, "table {}-storage-usage-daily", "no index billingStatus-date-index"),
    Breakage(no_monthly_index, "table {}-storage-usage-monthly", "billingStatus-month-index"),
    Breakage(no_ledger_index, "table {}-billing-ledger", "customerEvent-timestamp-index"),
    Breakage(narrow_index, "table {}-billing-ledger", "KEYS_ONLY"),
    Breakage(no_history, "table {}-processing-history", "no such table"),
    Breakage(no_daily_table, "table {}-storage-usage-daily", "no such table"),
    Breakage(no_monthly_table, "table {}-storage-usage-monthly", "no such table"),
    Breakage(no_ledger, "table {}-billing-ledger", "no such table"),
    Breakage(no_customers_table, "table {}-customers", "no such table"),
    Breakage(other_key, "table {}-processing-history", "processing-historyId (S)"),
    Breakage(deletable_ledger, "table {}-billing-ledger", "not protected", "warning"),
    Breakage(no_backups, "table {}-billing-ledger", "recovery is off", "warning"),
    Breakage(
        deaf_bucket,
        "bucket notifications",
        "tells nobody",
        beyond_the_template=frozenset({"bucket"}),
    ),
    Breakage(other_bucket, "bucket", "no bucket there-is-none"),
    Breakage(disabled_rule, "rule {}-sweep", "disabled"),
    Breakage(disabled_output_rule, "rule {}-output-created", "disabled"),
    Breakage(no_rule, "rule {}-resolve", "no such rule"),
    Breakage(no_output_rule, "rule {}-output-created", "no such rule"),
    Breakage(rule_without_target, "rule {}-daily", "does not send to {}-schedule"),
    Breakage(target_without_dead_letters, "rule {}-daily", "cannot deliver is lost", "warning"),
    Breakage(rule_of_another_prefix, "rule {}-output-created", "does not cover"),
    Breakage(
        default_grace,
        "rule {}-monthly",
        "2 h 00 min",
        beyond_the_template=frozenset({"rule monthly"}),
    ),
    Breakage(drafts_of_a_day, "rule {}-monthly", "final 24 h after"),
    Breakage(older_worker, "image version", "0.0.9+ba9876543210", "warning"),
    Breakage(newer_worker, "image version", "99.10.0+ba9876543210", "warning"),
    Breakage(worker_of_unknown_version, "image version", "nothing tells the version", "warning"),
    Breakage(
        worker_of_other_settings,
        "worker settings",
        "AVERAGE_OVER is calendar, here recorded",
    ),
    Breakage(unheard_alarms, "alarms", "has no confirmed subscription", "warning"),
    Breakage(muted_alarm, "alarms", "switched off: {}-StripeMeterSendFailure", "warning"),
    Breakage(removed_alarm, "alarms", "there is no alarm {}-NoWorker", "warning"),
    Breakage(ringing_alarm, "alarms", "{}-DeadLetters rings: 3 letters", "warning"),
    Breakage(other_queue_prefix, "AWS account", "no queue begins with 'elsewhere-'"),
    Breakage(other_table_prefix, "table elsewhere-storage-usage-daily", "nor any other of ours"),
    Breakage(secret_of_another_shape, "secret", "STRIPE_SECRET_KEY"),
    Breakage(publishable_key, "secret", "sk_live_"),
    Breakage(no_secret, "secret", "ResourceNotFoundException"),
    Breakage(unknown_key, "Stripe", "HTTP 401"),
    Breakage(stripe_down, "Stripe", "HTTP 503"),
    Breakage(archived_meter, "meter storage-usage", "archived"),
    Breakage(counting_meter, "meter storage-usage", "'count', and has to be 'sum'"),
    Breakage(no_price, "price storage-usage", "no active price"),
    Breakage(fast_clock, "clock, Stripe", "420 s ahead of"),
    Breakage(stranger, "customers", "does not know cus_Gone"),
    Breakage(unknown_here, "customers", "Stripe knows cus_Elsewhere", "warning"),
    Breakage(no_subscription, "subscriptions", "cus_B held files on 2026-10-31"),
    Breakage(ended_subscription, "subscriptions", "cus_A held files on 2026-11-14"),
    Breakage(other_event_name, "meter storage_usage", "there are: file_processed, storage-usage"),
    Breakage(no_file_subscription, "subscriptions", "cus_A had files processed since 2026-10-01"),
    Breakage(subscribed_to_the_old_meter, "subscriptions", "cus_A held files on 2026-10-31"),
    Breakage(paused, "sending", "paused since", "warning"),
    Breakage(paused_customer, "sending", "paused for cus_A", "warning"),
    Breakage(shadow, "sending", "nothing is sent", "warning"),
    Breakage(days_missing, "daily rows", "cus_A 2026-10-22 to 2026-10-23", "warning"),
    Breakage(late_row, "late rows", "cus_A 2026-10-31", "warning"),
)
