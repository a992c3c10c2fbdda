"""What an operator asks: is it set up right, what will be billed, does Stripe agree."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel
from typer.testing import CliRunner

from infra.stripe_simulator import (
    DEFAULT_KEY,
    ApiKey,
    Match,
    Outage,
    Rule,
    Seed,
    SeedCustomer,
    SeedMeter,
    SeedSubscription,
    Status,
)
from tests.integration.scenario import Changes, bill_body, file_body
from worker.cli import app
from worker.commands import doctor as doctor_command
from worker.commands import preview as preview_command
from worker.commands import reconcile as reconcile_command
from worker.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from tests.integration.scenario import Scenario
    from worker.clock import Clock
    from worker.installation import Installation

GIB = 1 << 30


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


@dataclass(frozen=True)
class Ran:
    code: int
    output: str
    errors: str


class Operator:
    """Runs commands as the CLI does, on an installation and a clock of the test's."""

    def __init__(self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scenario = scenario
        self.installation: Installation = scenario.worker
        for module in (doctor_command, preview_command, reconcile_command):
            monkeypatch.setattr(module, "open_installation", lambda: self.installation)

    def use(self, **changes: Unpack[Changes]) -> None:
        self.installation = self.scenario.installation(**changes)

    def run(self, *arguments: str) -> Ran:
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def operator(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Operator:
    for name, value in scenario.stack.environment().items():
        monkeypatch.setenv(name, value)
    return Operator(scenario, monkeypatch)


# --- doctor ---------------------------------------------------------------------------------------


class Finding(_Answer):
    check: str
    standing: str
    detail: str
    remedy: str | None


class Examined(_Answer):
    ok: bool
    findings: list[Finding]


@dataclass(frozen=True)
class Patient:
    """An installation in good health, to be broken in one place."""

    operator: Operator
    scenario: Scenario
    meters: dict[str, str]

    @property
    def name(self) -> str:
        return self.scenario.stack.name

    def examine(self) -> tuple[int, list[Finding]]:
        """The exit code, and what is not ok."""
        ran = self.operator.run("doctor", "--json")
        answer = Examined.model_validate_json(ran.output)
        assert answer.ok is (ran.code == 0)
        return ran.code, [finding for finding in answer.findings if finding.standing != "ok"]

    def set_queue(self, queue: str, **attributes: str) -> None:
        stack = self.scenario.stack
        # The stubs know attribute names as literals, and a test names them by keyword.
        stack.clients.sqs.set_queue_attributes(
            QueueUrl=stack.queue_url(queue),
            Attributes=attributes,  # type: ignore[arg-type]  # as said above
        )

    def arn(self, queue: str) -> str:
        return f"arn:aws:sqs:ap-northeast-1:000000000000:{self.name}-{queue}"


@pytest.fixture
def patient(operator: Operator, scenario: Scenario) -> Patient:
    stack, clients = scenario.stack, scenario.stack.clients
    stack.deploy(SchedulesState="ENABLED")
    for table in ("storage-usage-daily", "storage-usage-monthly"):
        _expire(scenario, table, "ttl", on=True)
    for table in ("storage-usage-daily", "storage-usage-monthly", "billing-ledger"):
        clients.dynamodb.update_continuous_backups(
            TableName=stack.table(table),
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
    clients.secrets.put_secret_value(
        SecretId=stack.secret_id, SecretString=json.dumps({"STRIPE_SECRET_KEY": DEFAULT_KEY})
    )
    operator.use(stripe_api_key=None, stripe_grace_hours=72)
    meters = scenario.worker.stripe.keyed_client().client.v1.billing.meters.list()
    return Patient(operator, scenario, {meter.event_name: meter.id for meter in meters.data})


def _expire(scenario: Scenario, table: str, attribute: str, *, on: bool) -> None:
    stack = scenario.stack
    now = stack.clients.dynamodb.describe_time_to_live(TableName=stack.table(table))
    if (now["TimeToLiveDescription"].get("TimeToLiveStatus") == "ENABLED") is not on:
        stack.clients.dynamodb.update_time_to_live(
            TableName=stack.table(table),
            TimeToLiveSpecification={"Enabled": on, "AttributeName": attribute},
        )


def test_all_is_well(patient: Patient) -> None:
    assert patient.examine() == (0, [])

    table = patient.operator.run("doctor")
    assert table.code == 0
    assert "0 warning, 0 failed" in table.output
    for thing in ("ledger", "monthly-billing-dlq", "bucket", "secret", "Stripe", "late rows"):
        assert thing in table.output
    assert DEFAULT_KEY not in table.output


def no_redrive(patient: Patient) -> None:
    patient.set_queue("daily-sizing", RedrivePolicy="")


def no_policy(patient: Patient) -> None:
    patient.set_queue("file-processed", Policy="")


def other_dead_letter_queue(patient: Patient) -> None:
    policy = {"deadLetterTargetArn": patient.arn("schedule-dlq"), "maxReceiveCount": 20}
    patient.set_queue("daily-sizing", RedrivePolicy=json.dumps(policy))


def impatient_redrive(patient: Patient) -> None:
    policy = {"deadLetterTargetArn": patient.arn("daily-sizing-dlq"), "maxReceiveCount": 3}
    patient.set_queue("daily-sizing", RedrivePolicy=json.dumps(policy))


def short_retention(patient: Patient) -> None:
    patient.set_queue("daily-sizing-dlq", MessageRetentionPeriod="345600")


def small_dead_letters(patient: Patient) -> None:
    patient.set_queue("daily-sizing-dlq", MaximumMessageSize="1024")


def no_queue(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.sqs.delete_queue(QueueUrl=stack.queue_url("stripe-events"))


def no_dead_letter_queue(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.sqs.delete_queue(QueueUrl=stack.queue_url("stripe-events-dlq"))


def never_expires(patient: Patient) -> None:
    _expire(patient.scenario, "storage-usage-daily", "ttl", on=False)


def expires_otherwise(patient: Patient) -> None:
    _expire(patient.scenario, "storage-usage-monthly", "ttl", on=False)
    _expire(patient.scenario, "storage-usage-monthly", "expiresAt", on=True)


def no_index(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.dynamodb.update_table(
        TableName=stack.table("storage-usage-daily"),
        GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "billingMonth-index"}}],
    )


def no_table(patient: Patient) -> None:
    _drop(patient, "processing-history")


def other_key(patient: Patient) -> None:
    dynamodb = patient.scenario.stack.clients.dynamodb
    dynamodb.create_table(
        TableName=_drop(patient, "processing-history"),
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "processingHistoryId", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "processingHistoryId", "KeyType": "HASH"}],
    )


def narrow_index(patient: Patient) -> None:
    dynamodb = patient.scenario.stack.clients.dynamodb
    dynamodb.create_table(
        TableName=_drop(patient, "billing-ledger"),
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "fact", "AttributeType": "S"},
            {"AttributeName": "customerEvent", "AttributeType": "S"},
            {"AttributeName": "timestamp", "AttributeType": "N"},
            {"AttributeName": "openShard", "AttributeType": "S"},
            {"AttributeName": "nextAttemptAt", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "fact", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "customerEvent-timestamp-index",
                "KeySchema": [
                    {"AttributeName": "customerEvent", "KeyType": "HASH"},
                    {"AttributeName": "timestamp", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
            {
                "IndexName": "open-nextAttemptAt-index",
                "KeySchema": [
                    {"AttributeName": "openShard", "KeyType": "HASH"},
                    {"AttributeName": "nextAttemptAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            },
        ],
    )
    dynamodb.update_continuous_backups(
        TableName=patient.scenario.stack.table("billing-ledger"),
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )


def _drop(patient: Patient, table: str) -> str:
    stack = patient.scenario.stack
    name = stack.table(table)
    stack.clients.dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    stack.clients.dynamodb.delete_table(TableName=name)
    return name


def deaf_bucket(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.s3.put_bucket_notification_configuration(
        Bucket=stack.bucket, NotificationConfiguration={}
    )


def other_bucket(patient: Patient) -> None:
    patient.operator.use(stripe_api_key=None, stripe_grace_hours=72, bucket="there-is-none")


def disabled_rule(patient: Patient) -> None:
    patient.scenario.stack.clients.events.disable_rule(Name=f"{patient.name}-sweep")


def disabled_output_rule(patient: Patient) -> None:
    patient.scenario.stack.clients.events.disable_rule(Name=f"{patient.name}-output-created")


def no_rule(patient: Patient) -> None:
    events = patient.scenario.stack.clients.events
    events.remove_targets(Rule=f"{patient.name}-resolve", Ids=["schedule"])
    events.delete_rule(Name=f"{patient.name}-resolve")


def rule_without_target(patient: Patient) -> None:
    patient.scenario.stack.clients.events.remove_targets(
        Rule=f"{patient.name}-daily", Ids=["schedule"]
    )


def default_grace(patient: Patient) -> None:
    patient.operator.use(stripe_api_key=None)


def secret_of_another_shape(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.secrets.put_secret_value(
        SecretId=stack.secret_id, SecretString=json.dumps({"key": DEFAULT_KEY})
    )


def publishable_key(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.secrets.put_secret_value(
        SecretId=stack.secret_id, SecretString=json.dumps({"STRIPE_SECRET_KEY": "pk_test_1"})
    )


def unknown_key(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.secrets.put_secret_value(
        SecretId=stack.secret_id, SecretString=json.dumps({"STRIPE_SECRET_KEY": "sk_test_rolled"})
    )


def stripe_down(patient: Patient) -> None:
    patient.scenario.simulator.add_faults(Rule(match=Match(), fault=Outage(status=503)))


def archived_meter(patient: Patient) -> None:
    client = patient.scenario.worker.stripe.keyed_client().client
    client.v1.billing.meters.deactivate(patient.meters["storage-usage"])


def counting_meter(patient: Patient) -> None:
    archived_meter(patient)
    patient.scenario.simulator.seed(
        Seed(
            meters=(
                SeedMeter(
                    event_name="storage-usage",
                    formula="count",
                    unit_amount=Decimal(10),
                    divide_by=GIB,
                ),
            )
        )
    )


def forbidden_meters(patient: Patient) -> None:
    patient.scenario.simulator.add_faults(
        Rule(
            match=Match(path_prefix="/v1/billing/meters"),
            fault=Status(status=403, type="invalid_request_error"),
            times=None,
        )
    )


def no_price(patient: Patient) -> None:
    client = patient.scenario.worker.stripe.keyed_client().client
    for price in client.v1.prices.list({"recurring": {"meter": patient.meters["storage-usage"]}}):
        client.v1.prices.update(price.id, {"active": False})


def stranger(patient: Patient) -> None:
    patient.scenario.customers("cus_A")
    patient.scenario.put("customers", {"customerId": "cus_Gone"})


def no_subscription(patient: Patient) -> None:
    patient.scenario.customers("cus_A")
    patient.scenario.day("cus_A", "2026-10-31", GIB)


def slow_stripe_clock(patient: Patient) -> None:
    clock = patient.operator.installation.clock
    patient.operator.installation.__dict__["clock"] = Skewed(clock, timedelta(minutes=7))


def drafts_of_a_day(patient: Patient) -> None:
    patient.scenario.simulator.change_settings(grace_hours=24)
    introduce(patient.scenario, "cus_A")


def introduce(scenario: Scenario, *customers: str) -> None:
    """Known to both sides, and subscribed since October's beginning."""
    scenario.customers(*customers)
    scenario.simulator.seed(
        Seed(
            subscriptions=tuple(
                SeedSubscription(customer=each, started=datetime(2026, 10, 1, tzinfo=UTC))
                for each in customers
            ),
        )
    )


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


@pytest.mark.parametrize(
    ("breaks", "check", "detail", "remedy"),
    [
        (no_redrive, "queue {}-daily-sizing", "no redrive policy", "RedrivePolicy"),
        (no_policy, "queue {}-file-processed", "does not let EventBridge send", "queue policy"),
        (other_dead_letter_queue, "queue {}-daily-sizing", "schedule-dlq, not to", "RedrivePolicy"),
        (impatient_redrive, "queue {}-daily-sizing", "after 3 receipts", "RedrivePolicy"),
        (short_retention, "queue {}-daily-sizing-dlq", "345,600", "MessageRetentionPeriod=1209600"),
        (small_dead_letters, "queue {}-daily-sizing-dlq", "1,024", "MaximumMessageSize=1048576"),
        (no_queue, "queue {}-stripe-events", "no such queue", "deploy"),
        (no_dead_letter_queue, "queue {}-stripe-events-dlq", "no such queue", "deploy"),
        (never_expires, "table {}-storage-usage-daily", "never expire", "update-time-to-live"),
        (expires_otherwise, "table {}-storage-usage-monthly", "'expiresAt'", "AttributeName=ttl"),
        (no_index, "table {}-storage-usage-daily", "billingMonth-index", "update-table"),
        (no_table, "table {}-processing-history", "no such table", "deploy"),
        (other_key, "table {}-processing-history", "processing-historyId (S)", "remove the table"),
        (narrow_index, "table {}-billing-ledger", "KEYS_ONLY", "projecting ALL"),
        (deaf_bucket, "bucket notifications", "tells nobody", "EventBridgeConfiguration"),
        (disabled_rule, "rule {}-sweep", "disabled", "aws events enable-rule --name {}-sweep"),
        (disabled_output_rule, "rule {}-output-created", "disabled", "enable-rule"),
        (no_rule, "rule {}-resolve", "no such rule", "deploy"),
        (rule_without_target, "rule {}-daily", "does not send to {}-schedule", "deploy"),
        (default_grace, "rule {}-monthly", "2 h 00 min", "SIFTBEAM_STRIPE_GRACE_HOURS=72"),
        (secret_of_another_shape, "secret", "STRIPE_SECRET_KEY", "put-secret-value"),
        (publishable_key, "secret", "sk_live_", "put-secret-value"),
        (unknown_key, "Stripe", "HTTP 401", "put a valid key"),
        (stripe_down, "Stripe", "HTTP 503", "status.stripe.com"),
        (archived_meter, "meter storage-usage", "archived", "reactivate"),
        (no_price, "price storage-usage", "no active price", "stripe setup"),
        (stranger, "customers", "does not know cus_Gone", "create them in Stripe"),
        (no_subscription, "subscriptions", "cus_A held files on 2026-10-31", "subscribe them"),
        (slow_stripe_clock, "clock, Stripe", "420 s ahead of", "NTP"),
        (drafts_of_a_day, "rule {}-monthly", "final 24 h after", "HOURS=24"),
        (counting_meter, "meter storage-usage", "'count', and has to be 'sum'", "archive it"),
    ],
)
def test_what_is_broken_is_named_and_nothing_else(
    patient: Patient, breaks: Callable[[Patient], None], check: str, detail: str, remedy: str
) -> None:
    breaks(patient)

    code, findings = patient.examine()

    assert code == 1
    (found,) = [finding for finding in findings if finding.standing == "failed"]
    assert found.check == check.format(patient.name)
    assert detail.format(patient.name) in found.detail
    assert remedy.format(patient.name) in (found.remedy or "")
    # Whatever else is said is only that it could not be looked at for that reason.
    assert all(
        "not checked" in finding.detail for finding in findings if finding.standing == "warning"
    )


def test_a_wrong_bucket_and_its_rule_are_named(patient: Patient) -> None:
    other_bucket(patient)

    code, findings = patient.examine()

    assert code == 1
    checks = {finding.check for finding in findings if finding.standing == "failed"}
    assert checks == {"bucket", f"rule {patient.name}-output-created"}


def test_meters_that_the_key_may_not_read(patient: Patient) -> None:
    forbidden_meters(patient)

    code, findings = patient.examine()

    assert code == 1
    assert [finding.check for finding in findings if finding.standing == "failed"] == [
        "meter storage-usage",
        "meter file_processed",
    ]
    assert all("HTTP 403" in finding.detail for finding in findings)


def test_the_remedy_for_a_redrive_mends_it(patient: Patient) -> None:
    no_redrive(patient)
    _, (finding,) = patient.examine()
    words = shlex.split(finding.remedy or "")
    assert words[:3] == ["aws", "sqs", "set-queue-attributes"]
    options = dict(zip(words[3::2], words[4::2], strict=True))

    patient.scenario.stack.clients.sqs.set_queue_attributes(
        QueueUrl=options["--queue-url"], Attributes=json.loads(options["--attributes"])
    )

    assert patient.examine() == (0, [])


def test_a_bucket_that_notifies_the_queue_itself_needs_no_rule(patient: Patient) -> None:
    stack = patient.scenario.stack
    disabled_output_rule(patient)
    stack.clients.s3.put_bucket_notification_configuration(
        Bucket=stack.bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": patient.arn("file-processed"), "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )

    assert patient.examine() == (0, [])


def test_dead_letters_and_late_rows_are_warnings_that_name_them(patient: Patient) -> None:
    scenario = patient.scenario
    scenario.simulator.change_settings(grace_hours=72)
    introduce(scenario, "cus_A", "cus_B", "cus_D")
    scenario.month("cus_A", "2026-10", [GIB] * 30)
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)
    scenario.day("cus_A", "2026-10-31", GIB)
    # Not late either: frozen with its rows, which stay pending while Stripe's answer is open.
    scenario.month("cus_D", "2026-10", [GIB] * 31)
    scenario.simulator.add_faults(
        Rule(match=Match(identifier_prefix="storage-usage:cus_D"), fault=Status(status=500))
    )
    assert not isinstance(scenario.handle(bill_body("cus_D")), Done)
    # Nor these: their months are not billed yet, or not over.
    scenario.day("cus_B", "2026-10-31", GIB)
    scenario.day("cus_A", "2026-11-01", GIB)
    stack = scenario.stack
    stack.clients.sqs.send_message(
        QueueUrl=stack.queue_url("monthly-billing-dlq"), MessageBody="{}"
    )

    code, findings = patient.examine()

    assert code == 0
    letters, late = findings
    assert letters.check == f"queue {patient.name}-monthly-billing-dlq"
    assert letters.detail == "1 dead letters"
    assert "siftbeam-billing dlq list" in (letters.remedy or "")
    assert late.check == "late rows"
    assert late.detail == "billed without these rows: cus_A 2026-10-31"
    assert "siftbeam-billing adjust" in (late.remedy or "")


def test_days_without_a_row_are_named(patient: Patient) -> None:
    scenario = patient.scenario
    scenario.simulator.change_settings(grace_hours=72)
    introduce(scenario, "cus_A")
    for day in (20, 21, 24, 31):
        scenario.day("cus_A", f"2026-10-{day}", 0)

    _, findings = patient.examine()

    (days,) = [finding for finding in findings if finding.check == "daily rows"]
    # Before the 20th the customer may not have been one.
    assert "cus_A 2026-10-22 to 2026-10-23, 2026-10-25 to 2026-10-30" in days.detail
    assert "enqueue daily --date 2026-10-22" in (days.remedy or "")


def test_whom_only_stripe_knows_and_a_price_of_their_own_are_warnings(patient: Patient) -> None:
    scenario = patient.scenario
    scenario.simulator.seed(Seed(customers=(SeedCustomer(id="cus_Elsewhere"),)))
    no_price(patient)
    client = scenario.worker.stripe.keyed_client().client
    client.v1.prices.create(
        {
            "currency": "usd",
            "product": client.v1.products.create({"name": "Storage"}).id,
            "unit_amount": 7,
            "recurring": {
                "interval": "month",
                "usage_type": "metered",
                "meter": patient.meters["storage-usage"],
            },
            "transform_quantity": {"divide_by": GIB, "round": "up"},
        }
    )

    code, findings = patient.examine()

    assert code == 0
    price, customers = findings
    assert "a unit costs 7, and 10 by the settings" in price.detail
    assert "Stripe knows cus_Elsewhere" in customers.detail


def test_a_restricted_key_is_told_what_it_lacks(patient: Patient) -> None:
    reader = ApiKey(
        secret=SecretStr("rk_test_reader"),
        permissions=frozenset(
            {
                "account_read",
                "billing_meter_read",
                "price_read",
                "customer_read",
                "subscription_read",
                "event_read",
            }
        ),
    )
    patient.scenario.simulator.change_settings(api_keys=(reader,))
    patient.operator.use(stripe_api_key=SecretStr("rk_test_reader"), stripe_grace_hours=72)

    code, findings = patient.examine()

    assert code == 1
    lacking = [finding.detail for finding in findings if finding.check == "Stripe key"]
    assert "lacks Meter events: write: nothing can be billed" in lacking[0]
    assert "lacks Invoices: read" in lacking[1]


def test_backups_switched_off_are_a_warning(patient: Patient) -> None:
    stack = patient.scenario.stack
    stack.clients.dynamodb.update_continuous_backups(
        TableName=stack.table("billing-ledger"),
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )

    code, (finding,) = patient.examine()

    assert (code, finding.standing) == (0, "warning")
    assert finding.check == f"table {patient.name}-billing-ledger"


def test_without_aws_every_check_says_so_and_none_crashes(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListQueues")

    monkeypatch.setattr(patient.operator.installation.clients.sqs, "list_queues", refuse)

    code, findings = patient.examine()

    assert code == 1
    assert [finding.check for finding in findings] == ["AWS account", "clock, AWS"]
    for finding in findings:
        assert "ListQueues: AccessDenied" in finding.detail
        assert "allow ListQueues" in (finding.remedy or "")


# --- preview --------------------------------------------------------------------------------------


class FrozenFact(_Answer):
    state: str
    value: int
    rows_differ: bool


class CustomerMonth(_Answer):
    customer_id: str
    average_storage_bytes: int | None
    peak_storage_bytes: int | None
    total_storage_days: int
    missing_days: list[str]
    fact: FrozenFact | None
    runs: int
    run_bytes: int
    runs_left_out: int
    storage_amount: str
    file_amount: str
    amount: str
    skipped: str | None
    problem: str | None


class PreviewedTotals(_Answer):
    customers: int
    storage_bytes: int
    runs: int
    run_bytes: int
    amount: str


class Previewed(_Answer):
    month: str
    ended: bool
    customers: list[CustomerMonth]
    totals: PreviewedTotals


def previewed(operator: Operator, *arguments: str, code: int = 0) -> Previewed:
    ran = operator.run("preview", "--json", *arguments)
    assert ran.code == code, ran
    return Previewed.model_validate_json(ran.output)


def finish_run(scenario: Scenario, customer: str, run_id: str, size: int, at: datetime) -> None:
    scenario.upload(f"service/input/{customer}/{run_id}/in.bin", size)
    key = f"service/output/{customer}/{run_id}/out.bin"
    assert isinstance(scenario.handle(file_body(scenario.stack.bucket, key, at)), Done)


def test_a_month_to_come_is_worked_out_by_hand(operator: Operator, scenario: Scenario) -> None:
    scenario.customers("cus_A", "cus_B", "cus_C")
    # 30 of 31 days; the sum is 30 x 3 GiB + 15, so the average ends in a half: to the even byte.
    scenario.month("cus_A", "2026-10", [3 * GIB] * 29 + [3 * GIB + 15])
    scenario.month("cus_B", "2026-10", [0] * 31)
    scenario.day("cus_C", "2026-11-01", GIB)
    finish_run(scenario, "cus_A", "run-1", 1400, datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    finish_run(scenario, "cus_A", "run-2", 100, datetime(2026, 10, 1, tzinfo=UTC))
    # Failed, so not billed.
    scenario.run_row("run-4", "cus_A", "failed")
    finish_run(scenario, "cus_A", "run-4", 9000, datetime(2026, 10, 2, tzinfo=UTC))
    # Already the next month's.
    finish_run(scenario, "cus_A", "run-3", 5000, datetime(2026, 11, 1, tzinfo=UTC))

    answer = previewed(operator, "--month", "2026-10")

    assert (answer.month, answer.ended) == ("2026-10", True)
    first, second = answer.customers
    assert first == CustomerMonth(
        customerId="cus_A",
        averageStorageBytes=3 * GIB,
        peakStorageBytes=3 * GIB + 15,
        totalStorageDays=30,
        missingDays=["2026-10-31"],
        fact=None,
        runs=2,
        runBytes=1500,
        runsLeftOut=1,
        storageAmount="0.30",
        fileAmount="0.02",
        amount="0.32",
        skipped=None,
        problem=None,
    )
    assert (second.customer_id, second.average_storage_bytes, second.amount) == ("cus_B", 0, "0.00")
    assert answer.totals == PreviewedTotals(
        customers=2, storageBytes=3 * GIB, runs=2, runBytes=1500, amount="0.32"
    )
    # Nothing was sent but the three runs, and nothing frozen for storage.
    assert len(scenario.counted()) == 3
    assert scenario.fact("storage-usage#cus_A#2026-10") is None


def test_the_running_month_is_the_default_and_only_past_days_are_missing(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.wall.set(datetime(2026, 11, 4, 0, 30, tzinfo=UTC))
    scenario.day("cus_A", "2026-11-01", GIB)
    scenario.day("cus_A", "2026-11-03", 2 * GIB)
    scenario.day("cus_B", "2026-11-01", GIB)

    answer = previewed(operator, "--customer", "cus_A")

    assert (answer.month, answer.ended) == ("2026-11", False)
    (only,) = answer.customers
    assert (only.customer_id, only.missing_days) == ("cus_A", ["2026-11-02"])
    assert (only.average_storage_bytes, only.storage_amount) == (3 * GIB // 2, "0.20")
    assert "still running" in operator.run("preview").output


def test_what_is_billed_stands_and_changed_rows_are_told(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [GIB] * 31)
    assert isinstance(scenario.handle(bill_body("cus_A")), Done)

    (before,) = previewed(operator, "--month", "2026-10").customers
    scenario.day("cus_A", "2026-10-31", 32 * GIB)
    (after,) = previewed(operator, "--month", "2026-10").customers

    assert before.fact == FrozenFact(state="sent", value=GIB, rowsDiffer=False)
    assert after.fact == FrozenFact(state="sent", value=GIB, rowsDiffer=True)
    assert after.average_storage_bytes == 2 * GIB
    assert (before.amount, after.amount) == ("0.10", "0.10")
    assert "the billed value stands" in operator.run("preview", "--month", "2026-10").errors


def test_what_will_not_be_billed_costs_nothing(operator: Operator, scenario: Scenario) -> None:
    scenario.month("cus_A", "2026-10", [GIB] * 31)
    scenario.month("cus_B", "2026-10", [10**15] * 31)
    scenario.day("cus_C", "2026-10-01", -1)

    refused = previewed(operator, "--month", "2026-10", code=1)
    operator.use(bill_from=datetime(2026, 11, 1, tzinfo=UTC))
    early = previewed(operator, "--month", "2026-10", "--customer", "cus_A")

    assert [one.amount for one in refused.customers] == ["0.10", "0.00", "0.00"]
    assert "15 digits" in (refused.customers[1].problem or "")
    assert "below zero" in (refused.customers[2].problem or "")
    assert early.customers[0].amount == "0.00"
    assert "BILL_FROM" in (early.customers[0].skipped or "")


def test_a_month_of_many_customers_is_told_in_their_order(
    operator: Operator, scenario: Scenario
) -> None:
    ids = [f"cus_{number:03}" for number in range(120)]
    for customer in ids:
        scenario.day(customer, "2026-10-01", GIB)

    answer = previewed(operator, "--month", "2026-10")

    assert [one.customer_id for one in answer.customers] == ids
    assert answer.totals.amount == "12.00"


def test_what_changed_since_the_month_before_stands_out(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.month("cus_A", "2026-09", [10 * GIB] * 30)
    scenario.month("cus_A", "2026-10", [40 * GIB] * 31)
    scenario.month("cus_B", "2026-09", [10 * GIB] * 30)
    scenario.month("cus_B", "2026-10", [12 * GIB] * 31)
    scenario.month("cus_C", "2026-10", [20 * GIB] * 31)

    ran = operator.run("preview", "--json", "--month", "2026-10")
    told = {one["customerId"]: one for one in json.loads(ran.output)["customers"]}

    assert [one["change"] for one in told.values()] == ["3.00", "0.20", "2.00"]
    assert told["cus_A"]["outlier"] == "$4.00 after $1.00 in 2026-09"
    assert told["cus_B"]["outlier"] is None
    assert told["cus_C"]["outlier"] == "$2.00 after nothing in 2026-09"
    assert "cus_A: stands out" in operator.run("preview", "--month", "2026-10").errors


def test_an_invoice_that_stripe_could_not_charge_needs_a_person(
    operator: Operator, scenario: Scenario
) -> None:
    finish_run(scenario, "cus_A", "run-1", 1_000, datetime(2026, 10, 2, tzinfo=UTC))
    operator.use(file_price=Decimal(1_001))

    ran = operator.run("preview", "--json", "--month", "2026-10")

    assert ran.code == 1
    (one,) = json.loads(ran.output)["customers"]
    assert "more than the $999,999.99 that Stripe charges" in one["beyondStripe"]


def test_asked_stripe_tells_each_customers_own_price(
    operator: Operator, scenario: Scenario
) -> None:
    scenario.wall.set(datetime(2026, 10, 31, 12, tzinfo=UTC))
    introduce(scenario, "cus_A")
    scenario.customers("cus_B")
    for customer in ("cus_A", "cus_B"):
        scenario.month(customer, "2026-10", [3 * GIB] * 31)
    finish_run(scenario, "cus_A", "run-1", 98_765, datetime(2026, 10, 2, tzinfo=UTC))

    ran = operator.run("preview", "--json", "--stripe")

    first, second = json.loads(ran.output)["customers"]
    assert first["own"] == {"currency": "usd", "amount": "1.29", "upcoming": "0.99"}
    assert first["amount"] == "1.29"
    assert second["own"] == {"currency": None, "amount": None, "upcoming": None}


def test_an_empty_month(operator: Operator) -> None:
    assert "no customer has daily rows" in operator.run("preview").output
    assert operator.run("preview", "--month", "2026-13").code == 2


# --- reconcile ------------------------------------------------------------------------------------


class WaitingFact(_Answer):
    identifier: str
    state: str
    size: int = Field(alias="bytes")


class Compared(_Answer):
    customer_id: str
    meter: str
    facts: int
    ledger_bytes: int
    stripe_bytes: int | None
    difference: int | None
    waiting: list[WaitingFact]
    problem: str | None


class Reconciled(_Answer):
    agree: int
    differ: int
    unanswered: int
    lines: list[Compared]
    advice: list[str]


def reconciled(operator: Operator, *arguments: str) -> tuple[int, Reconciled]:
    ran = operator.run("reconcile", "--json", *arguments)
    return ran.code, Reconciled.model_validate_json(ran.output)


def line(answer: Reconciled, customer: str, meter: str) -> Compared:
    (found,) = [
        each for each in answer.lines if (each.customer_id, each.meter) == (customer, meter)
    ]
    return found


@pytest.fixture
def billed(scenario: Scenario) -> Scenario:
    """October billed for two customers, with two runs; a third has no usage at all."""
    scenario.customers("cus_A", "cus_B", "cus_C")
    since = datetime(2026, 10, 1, tzinfo=UTC)
    scenario.simulator.seed(
        Seed(
            subscriptions=tuple(
                SeedSubscription(customer=customer, started=since)
                for customer in ("cus_A", "cus_B", "cus_C")
            )
        )
    )
    scenario.month("cus_A", "2026-10", [GIB] * 31)
    scenario.month("cus_B", "2026-10", [2 * GIB] * 31)
    for customer in ("cus_A", "cus_B"):
        assert isinstance(scenario.handle(bill_body(customer)), Done)
    finish_run(scenario, "cus_A", "run-1", 700, datetime(2026, 10, 5, 6, 7, 8, tzinfo=UTC))
    finish_run(scenario, "cus_A", "run-2", 30, datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    return scenario


def test_ledger_and_stripe_agree_by_default_on_the_last_month(
    operator: Operator, billed: Scenario
) -> None:
    # A customer who is gone from the table is still compared, for the rows of the month.
    billed.stack.clients.dynamodb.delete_item(
        TableName=billed.stack.table("customers"), Key={"customerId": {"S": "cus_B"}}
    )

    code, answer = reconciled(operator)

    assert code == 0
    assert (answer.agree, answer.differ, answer.unanswered) == (6, 0, 0)
    assert line(answer, "cus_B", "storage-usage").stripe_bytes == 2 * GIB
    files = line(answer, "cus_A", "file_processed")
    assert (files.facts, files.ledger_bytes, files.stripe_bytes) == (2, 730, 730)
    assert answer.advice == []
    assert "6 of 6 customer meters agree" in operator.run("reconcile").output


def test_an_event_cancelled_in_stripe_is_missed_to_the_byte(
    operator: Operator, billed: Scenario
) -> None:
    client = billed.worker.stripe.keyed_client().client
    client.v1.billing.meter_event_adjustments.create(
        {"event_name": "file_processed", "type": "cancel", "cancel": {"identifier": "run-1"}}
    )
    billed.wall.advance(timedelta(days=2))

    code, answer = reconciled(operator, "--month", "2026-10")

    assert code == 1
    assert answer.differ == 1
    found = line(answer, "cus_A", "file_processed")
    assert (found.ledger_bytes, found.stripe_bytes, found.difference) == (730, 30, -700)
    assert any("cancelled or lost" in step for step in answer.advice)
    told = operator.run("reconcile", "--month", "2026-10")
    assert re.search(r"cus_A .* file_processed .* 2 .* 730 .* 30 .* -700", told.output)


def test_a_month_that_stripe_lost_or_does_not_show_yet(
    operator: Operator, billed: Scenario
) -> None:
    billed.simulator.refuse("storage-usage:cus_B:2026-10")

    code, answer = reconciled(operator, "--customer", "cus_B")

    assert code == 1
    assert len(answer.lines) == 2
    assert line(answer, "cus_B", "storage-usage").difference == -2 * GIB
    # It was sent a moment ago, so the summaries may only lag.
    assert any("tomorrow" in step for step in answer.advice)


def test_an_event_whose_answer_was_lost_is_explained_by_the_open_fact(
    operator: Operator, billed: Scenario
) -> None:
    billed.simulator.add_faults(
        Rule(match=Match(identifier_prefix="run-9"), fault=Status(status=500))
    )
    billed.upload("service/input/cus_C/run-9/in.bin", 55)
    key = "service/output/cus_C/run-9/out.bin"
    at = datetime(2026, 10, 7, tzinfo=UTC)
    billed.handle(file_body(billed.stack.bucket, key, at))
    client = billed.worker.stripe.keyed_client().client
    client.v1.billing.meter_events.create(
        {
            "event_name": "file_processed",
            "identifier": "as-if-it-were-run-9",
            "timestamp": int(at.timestamp()),
            "payload": {"stripe_customer_id": "cus_C", "value": "55"},
        }
    )

    code, answer = reconciled(operator)

    assert code == 1
    found = line(answer, "cus_C", "file_processed")
    assert (found.ledger_bytes, found.stripe_bytes, found.difference) == (0, 55, 55)
    assert [(w.identifier, w.state, w.size) for w in found.waiting] == [("run-9", "unknown", 55)]
    assert any("siftbeam-billing resolve" in step for step in answer.advice)


def test_a_stranger_on_the_meter_is_found(operator: Operator, billed: Scenario) -> None:
    client = billed.worker.stripe.keyed_client().client
    client.v1.billing.meter_events.create(
        {
            "event_name": "storage-usage",
            "timestamp": int(datetime(2026, 10, 31, 23, 59, tzinfo=UTC).timestamp()),
            "payload": {"stripe_customer_id": "cus_C", "value": "1"},
        }
    )

    code, answer = reconciled(operator)

    assert code == 1
    assert line(answer, "cus_C", "storage-usage").difference == 1
    assert any("the ledger does not hold" in step for step in answer.advice)


def test_a_stripe_that_is_down_is_not_asked_for_ever(operator: Operator, billed: Scenario) -> None:
    many = tuple(SeedCustomer(id=f"cus_{number}") for number in range(30))
    for customer in many:
        billed.put("customers", {"customerId": customer.id})
    billed.simulator.add_faults(
        Rule(match=Match(path_prefix="/v1/billing/meters"), fault=Status(status=400), times=None)
    )

    code, answer = reconciled(operator)

    assert code == 1
    assert answer.unanswered == len(answer.lines) == 66
    asked = [seen for seen in billed.simulator.requests() if seen.path == "/v1/billing/meters"]
    assert len(asked) < 12
    assert any("doctor" in step for step in answer.advice)


def test_a_month_to_come_cannot_be_reconciled(operator: Operator) -> None:
    assert operator.run("reconcile", "--month", "2026-12").code == 2
