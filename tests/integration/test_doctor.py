"""Each thing that may be wrong is named, alone, and its remedy mends it word for word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from pydantic import SecretStr

from infra.stripe_simulator import (
    DEFAULT_KEY,
    ApiKey,
    Match,
    Rule,
    Seed,
    SeedCustomer,
    Status,
)
from producers.queues import Queue
from tests.integration.breakages import (
    BREAKAGES,
    GIB,
    GRACE,
    Breakage,
    disabled_output_rule,
    healthy,
    no_price,
)
from tests.integration.conftest import deploy_data_stack, session_of
from tests.integration.operator import introduce
from tests.integration.scenario import bill_body
from tests.integration.shell import Shell
from worker.outcome import Done

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from infra.embedded_aws import EmbeddedAws
    from tests.integration.breakages import Patient
    from tests.integration.conftest import Clients, DataStack
    from tests.integration.operator import Operator
    from tests.integration.scenario import Scenario

# What differs between two of a kind, or grows.
_OF_THE_MOMENT = {
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "Description",
}
_SHAPE_OF_TABLE = ("AttributeDefinitions", "KeySchema", "BillingModeSummary")


@pytest.fixture
def stack(embedded_aws: EmbeddedAws, clients: Clients) -> DataStack:
    return deploy_data_stack(embedded_aws, clients, SchedulesState="ENABLED")


@pytest.fixture(scope="module")
def session(embedded_aws: EmbeddedAws) -> boto3.Session:
    """Reads the services' descriptions once, and not for every doctor."""
    return session_of(embedded_aws)


@pytest.fixture(autouse=True)
def one_session(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.commands.doctor.session_for", lambda _settings: session)


@pytest.fixture
def patient(operator: Operator, scenario: Scenario, tmp_path: Path) -> Patient:
    return healthy(operator, scenario, tmp_path)


@pytest.fixture
def shell(patient: Patient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    return Shell(patient.operator, monkeypatch, tmp_path, patient.begin_anew, patient.make)


@pytest.fixture(scope="module")
def template(embedded_aws: EmbeddedAws, clients: Clients) -> dict[str, object]:
    """What the template makes, untouched."""
    return deployed(deploy_data_stack(embedded_aws, clients, SchedulesState="ENABLED"))


def deployed(stack: DataStack) -> dict[str, object]:
    """The queues, tables, rules and the bucket as AWS describes them, but for the stack's name."""
    text = json.dumps(_described(stack), default=str)
    described: dict[str, object] = json.loads(text.replace(stack.name, "NAME"))
    return described


def _described(stack: DataStack) -> dict[str, object]:
    clients = stack.clients
    found: dict[str, object] = {}
    for queue in (*Queue, *(f"{each}-dlq" for each in Queue)):
        attributes = clients.sqs.get_queue_attributes(
            QueueUrl=stack.queue_url(queue), AttributeNames=["All"]
        )["Attributes"]
        found[queue] = {
            str(name): json.loads(value) if value.startswith("{") else value
            for name, value in attributes.items()
            # The emulator keeps an attribute that was taken back, empty.
            if value and name not in _OF_THE_MOMENT
        }
    for table in (
        "customers",
        "storage-usage-daily",
        "storage-usage-monthly",
        "processing-history",
        "billing-ledger",
    ):
        name = stack.table(table)
        described = dict(clients.dynamodb.describe_table(TableName=name)["Table"])
        indexes = clients.dynamodb.describe_table(TableName=name)["Table"].get(
            "GlobalSecondaryIndexes", []
        )
        found[table] = (
            [_in_order(described[part]) if part in described else None for part in _SHAPE_OF_TABLE],
            {each["IndexName"]: (each["KeySchema"], each["Projection"]) for each in indexes},
        )
    notified = clients.s3.get_bucket_notification_configuration(Bucket=stack.bucket)
    queues = notified.get("QueueConfigurations", [])
    found["bucket"] = (
        "EventBridgeConfiguration" in notified,
        [(each["QueueArn"], each["Events"]) for each in queues],
    )
    for rule in ("daily", "monthly", "resolve", "reconcile", "sweep", "output-created"):
        name = f"{stack.name}-{rule}"
        described_rule = clients.events.describe_rule(Name=name)
        pattern = described_rule.get("EventPattern")
        found[f"rule {rule}"] = (
            described_rule["State"],
            described_rule.get("ScheduleExpression"),
            json.loads(pattern) if pattern else None,
            clients.events.list_targets_by_rule(Rule=name)["Targets"],
        )
    return found


def _in_order(value: object) -> object:
    return sorted(value, key=repr) if isinstance(value, list) else value


def test_all_is_well(patient: Patient) -> None:
    assert patient.examine() == (0, [])

    table = patient.operator.run("doctor")
    assert table.code == 0
    assert "0 warning, 0 failed" in table.output
    for thing in ("ledger", "monthly-billing-dlq", "bucket", "secret", "Stripe", "late rows"):
        assert thing in table.output
    assert DEFAULT_KEY not in table.output


@pytest.mark.parametrize(
    "breakage", BREAKAGES, ids=[breakage.breaks.__name__ for breakage in BREAKAGES]
)
def test_what_is_broken_is_named_alone_and_its_remedy_mends_it(
    patient: Patient, shell: Shell, template: dict[str, object], breakage: Breakage
) -> None:
    breakage.breaks(patient)

    code, findings = patient.examine()

    assert code == (1 if breakage.standing == "failed" else 0)
    checked = [finding for finding in findings if "not checked" not in finding.detail]
    (found,) = checked
    assert (found.check, found.standing) == (breakage.check.format(patient.name), breakage.standing)
    assert breakage.detail.format(patient.name) in found.detail

    # To the letter: what it tells, what it prints to be copied, and what the worker then does.
    assert found.remedy
    assert found.commands or "told" in patient.heal
    patient.heal.get("told", lambda: None)()
    for command in found.commands:
        shell.run(command)
    patient.heal.get("then", lambda: None)()
    patient.begin_anew()

    assert patient.examine() == (0, [])
    # Put back as the template has it, not only so that doctor is content.
    if any(command.startswith("aws ") for command in found.commands):
        after = deployed(patient.scenario.stack)
        changed = {name for name, described in template.items() if after[name] != described}
        assert changed == breakage.beyond_the_template


def test_without_credentials_one_check_fails(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NoCredentialsError

    patient.operator.use(stripe_api_key=None)
    clients = patient.operator.installation.clients
    for client in (clients.sqs, clients.dynamodb, clients.s3, clients.secrets):
        monkeypatch.setattr(client, "_make_api_call", refuse)

    code, findings = patient.examine()

    assert code == 1
    failed = [finding for finding in findings if finding.standing == "failed"]
    (account,) = [finding for finding in failed if "credentials" in finding.detail]
    assert account.check == "AWS account"
    assert "secret" not in {finding.check for finding in failed}
    assert "aws sts get-caller-identity" in (account.remedy or "")


def test_a_key_that_may_not_read_meters_is_named_by_its_permissions(patient: Patient) -> None:
    reader = ApiKey(
        secret=SecretStr("rk_test_reader"),
        permissions=frozenset({"account_read", "billing_meter_event_write"}),
    )
    patient.scenario.simulator.change_settings(api_keys=(reader,))
    patient.operator.use(stripe_api_key=SecretStr("rk_test_reader"), stripe_grace_hours=GRACE)

    code, findings = patient.examine()

    assert code == 1
    (failed,) = [finding for finding in findings if finding.standing == "failed"]
    assert failed.check == "Stripe key"
    assert "Meters: read" in failed.detail


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
    assert letters.detail == "1 dead letter"
    assert "siftbeam-billing dlq list" in letters.commands[0]
    assert late.check == "late rows"
    assert late.detail == "billed without these rows: cus_A 2026-10-31"
    assert "siftbeam-billing adjust" in late.commands[0]


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
    assert "enqueue daily --date 2026-10-22" in days.commands[0]


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
