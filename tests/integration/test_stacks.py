"""The data and the observability stack, deployed: events come in, work is done, it rings."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from infra.stack import StackOutputs, deploy, template_path
from producers.messages import Job, Tick
from producers.queues import Queue
from tests.integration.conftest import session_of
from tests.integration.scenario import wait_until
from worker.metrics import NAMESPACE, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudwatch import CloudWatchClient

    from tests.integration.conftest import DataStack
    from tests.integration.scenario import Scenario


class Bell:
    """The alarms' topic, a queue that listens, and metrics as CloudWatch Logs would read them."""

    def __init__(self, stack: DataStack) -> None:
        self._stack = stack
        session = session_of(stack.aws)
        url = stack.aws.url
        self.cloudwatch: CloudWatchClient = session.client("cloudwatch", endpoint_url=url)
        self.outputs = self.deploy()
        self._queue = stack.clients.sqs.create_queue(QueueName=f"{stack.name}-bell")["QueueUrl"]
        self._sns = session.client("sns", endpoint_url=url)
        self._sns.subscribe(
            TopicArn=self.outputs["AlarmTopicArn"],
            Protocol="sqs",
            Endpoint=stack.clients.sqs.get_queue_attributes(
                QueueUrl=self._queue, AttributeNames=["QueueArn"]
            )["Attributes"]["QueueArn"],
        )

    def deploy(self) -> StackOutputs:
        return deploy(
            self._stack.clients.cloudformation,
            f"{self._stack.name}-observability",
            template_path("observability"),
            {"QueuePrefix": f"{self._stack.name}-"},
        )

    def hear(self, printed: str) -> None:
        """Put the embedded metrics of a worker's output where CloudWatch would put them."""
        for line in printed.splitlines():
            if '"_aws"' not in line:
                continue
            document = json.loads(line)
            (directive,) = document["_aws"]["CloudWatchMetrics"]
            for each in directive["Metrics"]:
                self.count(each["Name"], document[each["Name"]], directive["Namespace"])

    def count(self, metric: str, value: int, namespace: str = NAMESPACE) -> None:
        self.cloudwatch.put_metric_data(
            Namespace=namespace, MetricData=[{"MetricName": metric, "Value": value}]
        )

    def rung(self) -> list[tuple[str, str]]:
        """Alarm and state of every notice since the last look."""
        messages = self._stack.clients.sqs.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages", [])
        notices = []
        for message in messages:
            self._stack.clients.sqs.delete_message(
                QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"]
            )
            notice = json.loads(json.loads(message["Body"])["Message"])
            notices.append((notice["AlarmName"], notice["NewStateValue"]))
        return sorted(notices)

    def close(self) -> None:
        self.cloudwatch.close()
        self._sns.close()


@pytest.fixture
def bell(stack: DataStack) -> Iterator[Bell]:
    made = Bell(stack)
    yield made
    made.close()


def to_the_emulators_time(scenario: Scenario) -> None:
    """The emulator stamps its events by the machine's clock, so the test's own follows it."""
    scenario.wall.advance(datetime.now(UTC) - scenario.wall())


def test_an_object_comes_in_and_the_worker_bills_it(scenario: Scenario) -> None:
    scenario.customers("cus_A")
    scenario.run_row("run-1", "cus_A")
    scenario.upload("service/input/cus_A/run-1/in.csv", 12)

    # S3 tells EventBridge, whose rule tells the queue; nobody enqueues.
    scenario.upload("service/output/cus_A/run-1/out.csv", 3)
    wait_until(lambda: scenario.waiting(Queue.FILE_PROCESSED) == 1, "the event")
    to_the_emulators_time(scenario)
    scenario.drain()

    (event,) = scenario.counted("cus_A")
    assert (event.identifier, event.value) == ("run-1", "12")


def test_a_schedule_fires_and_the_fan_out_runs(scenario: Scenario) -> None:
    # The emulator fires schedules by the wall clock. The daily rule's own target hangs on a rule
    # that an event fires, so the tick is the template's own.
    events, name = scenario.stack.clients.events, scenario.stack.name
    targets = events.list_targets_by_rule(Rule=f"{name}-daily")["Targets"]
    events.put_rule(Name=f"{name}-now", EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=f"{name}-now", Targets=targets)
    scenario.customers("cus_A", "cus_B")
    scenario.upload("service/input/cus_A/run-1/in.csv", 12)

    events.put_events(Entries=[{"Source": name, "DetailType": "Scheduled Event", "Detail": "{}"}])
    wait_until(lambda: scenario.waiting(Queue.SCHEDULE) == 1, "the tick")
    to_the_emulators_time(scenario)
    scenario.drain()

    rows = {
        row["customerId"]: row["totalStorageBytes"] for row in scenario.rows("storage-usage-daily")
    }
    assert rows == {"cus_A": 12, "cus_B": 0}


def test_what_a_worker_counts_rings_and_stops_ringing(
    scenario: Scenario, bell: Bell, capsys: pytest.CaptureFixture[str]
) -> None:
    # A fact in the ledger that Stripe never had: the daily comparison finds it.
    scenario.customers("cus_A")
    scenario.month("cus_A", "2026-10", [10])
    tick = Tick(job=Job.RECONCILE, scheduled_time=scenario.wall()).body()

    scenario.handle(tick, queue=Queue.SCHEDULE)
    bell.hear(capsys.readouterr().out)

    assert bell.rung() == [(f"{scenario.stack.name}-ReconcileDifference", "ALARM")]


@pytest.mark.parametrize(
    ("metric", "alarm", "value"),
    [
        (Metric.SEND_FAILURE, "StripeMeterSendFailure", 1),
        (Metric.DEAD_LETTERS, "DeadLetters", 3),
        (Metric.DAILY_ROWS, "NoDailyRows", 0),
        (Metric.MONTHS_UNBILLED, "MonthlyBillingIncomplete", 1),
    ],
)
def test_an_alarm_rings_for_its_own_metric(
    bell: Bell, stack: DataStack, metric: Metric, alarm: str, value: int
) -> None:
    # Metrics have no dimensions and the emulator keeps them: each is counted by one test alone.
    bell.count(metric, value)

    assert bell.rung() == [(f"{stack.name}-{alarm}", "ALARM")]


def test_a_second_deployment_changes_nothing(bell: Bell) -> None:
    assert bell.outputs.change == "created"
    assert bell.deploy().change == "unchanged"


def test_the_dashboard_is_json_that_names_this_deployments_queues(
    bell: Bell, stack: DataStack
) -> None:
    body = bell.cloudwatch.get_dashboard(DashboardName=bell.outputs["DashboardName"])
    document = json.loads(body["DashboardBody"])

    assert f"{stack.name}-file-processed" in json.dumps(document)
    assert len(document["widgets"]) == 6
