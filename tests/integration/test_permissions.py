"""The roles grant what the code's own calls need, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import DEFAULT_KEY
from producers.messages import Job, Tick
from producers.queues import Queue
from tests.integration.permissions import Grant, Need, Recorder, grants
from tests.integration.scenario import bill_body, close_clients, file_body, size_body
from worker.consumer.side_job import Vitals
from worker.outcome import Done
from worker.tables.together import DynamoDBTogether

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.integration.scenario import Scenario
    from worker.aws import AwsClients

# The ECS agent makes this call for the worker (worker/consumer/scale_in.py); no SDK sees it.
ASKED_OF_THE_AGENT = {"ecs:UpdateTaskProtection"}
PATIENCE_SECONDS = 30.0


def parameters(scenario: Scenario) -> dict[str, str]:
    return {
        name: scenario.stack.parameters[name]
        for name in ("TablePrefix", "QueuePrefix", "BucketName", "StripeSecretName")
    }


@pytest.fixture
def worked(scenario: Scenario, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[Need]:
    """What a worker needed that did everything a worker does."""
    monkeypatch.setenv("SIFTBEAM_HEARTBEAT_FILE", str(tmp_path / "heartbeat"))
    scenario.stack.clients.secrets.put_secret_value(
        SecretId=scenario.stack.secret_id,
        SecretString=json.dumps({"STRIPE_SECRET_KEY": DEFAULT_KEY}),
    )
    recorder = Recorder(scenario.stack, monkeypatch)
    clients = recorder.clients()
    worker = scenario.installation(clients=clients, stripe_api_key=None)
    bucket, now = scenario.stack.bucket, scenario.wall()
    scenario.customers("cus_A", "cus_B")
    scenario.month("cus_A", "2026-10", [10, 20])
    scenario.upload("service/input/cus_A/run-1/in.csv", 5)
    scenario.run_row("run-1", "cus_A")
    scenario.run_row("run-2", "cus_A", "in_progress")

    # Poison on every queue, and a full month.
    for queue in Queue:
        scenario.send(queue, "no message of ours")
    for body, queue in (
        (size_body("cus_B", "2026-11-01"), Queue.DAILY_SIZING),
        (size_body("cus_A", "2026-10-31"), Queue.DAILY_SIZING),
        (bill_body("cus_A"), Queue.MONTHLY_BILLING),
        (file_body(bucket, "service/output/cus_A/run-1/out.csv", now), Queue.FILE_PROCESSED),
    ):
        scenario.send(queue, body)
    scenario.drain(worker=worker)
    for tick in Job:
        scenario.send(Queue.SCHEDULE, Tick(job=tick, scheduled_time=now).body())
    scenario.drain(worker=worker)
    # A late row, what resolve confirms, and what Stripe reports as refused afterwards.
    scenario.handle(size_body("cus_A", "2026-10-30"), worker=worker)
    count_everything(scenario, clients)
    for identifier in ("storage-usage:cus_A:2026-10", "run-1"):
        scenario.simulator.refuse(identifier, code="archived_meter")
    scenario.wall.advance(timedelta(hours=5))
    scenario.send(Queue.SCHEDULE, Tick(job=Job.RESOLVE, scheduled_time=scenario.wall()).body())
    scenario.drain(worker=worker)
    side_by_side(scenario, clients)
    for job in worker.side_jobs():
        job.run(Vitals(poll_age=0, refused_for=0, lease_age=0, in_hand=0, longest_in_hand=0))
    close_clients(clients)
    return set(recorder.calls)


def side_by_side(scenario: Scenario, clients: AwsClients) -> None:
    """Two of everything at once, which read and write together, however slow this machine is."""
    pairs = (("cus_C", "run-3"), ("cus_D", "run-4"))
    worker = scenario.installation(clients=clients, stripe_api_key=None)
    worker.__dict__["together"] = DynamoDBTogether(
        clients.dynamodb, worker.tables.keys, pause=PATIENCE_SECONDS
    )
    for customer, run in pairs:
        scenario.customers(customer)
        scenario.month(customer, "2026-10", [10, 20])
        scenario.upload(f"service/input/{customer}/{run}/in.csv", 5)
        scenario.run_row(run, customer)
        out = f"service/output/{customer}/{run}/out.csv"
        scenario.send(Queue.MONTHLY_BILLING, bill_body(customer))
        scenario.send(Queue.FILE_PROCESSED, file_body(scenario.stack.bucket, out, scenario.wall()))
    scenario.drain(worker=worker)
    # Late rows of an ended month, then the months again; then all of it refused.
    for customer, _ in pairs:
        scenario.send(Queue.DAILY_SIZING, size_body(customer, "2026-10-30"))
    scenario.drain(worker=worker)
    for customer, run in pairs:
        scenario.send(Queue.MONTHLY_BILLING, bill_body(customer))
        for identifier in (f"storage-usage:{customer}:2026-10", run):
            scenario.simulator.refuse(identifier, code="archived_meter")
    scenario.drain(worker=worker)
    scenario.wall.advance(timedelta(hours=5))
    scenario.send(Queue.SCHEDULE, Tick(job=Job.RESOLVE, scheduled_time=scenario.wall()).body())
    # The reports lie on their queue before the first of them is taken.
    scenario.drain(Queue.SCHEDULE, worker=worker)
    scenario.drain(worker=worker)


def count_everything(scenario: Scenario, clients: AwsClients) -> None:
    """A past day of a bucket that keeps versions, by a biller who counts all that S3 stores."""
    s3, bucket = scenario.stack.clients.s3, scenario.stack.bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.create_multipart_upload(Bucket=bucket, Key="service/input/cus_A/run-1/half")
    worker = scenario.installation(
        clients=clients,
        stripe_api_key=None,
        object_versions="all",
        incomplete_uploads="counted",
    )
    assert isinstance(scenario.handle(size_body("cus_A", "2026-10-29"), worker=worker), Done)


def denied_by(granted: Sequence[Grant], needs: set[Need]) -> list[Need]:
    return [need for need in sorted(needs) if not any(each.covers(need) for each in granted)]


def test_the_worker_may_do_what_it_does_and_nothing_else(
    scenario: Scenario, worked: set[Need]
) -> None:
    granted = grants("compute", "TaskRole", parameters(scenario))

    assert denied_by(granted, worked) == [], "the role lacks what the worker needs"
    # Without any one of them something would be denied: none is there for nothing, and none twice.
    needless = [
        f"{each.statement}: {each.action}"
        for each in granted
        if each.action not in ASKED_OF_THE_AGENT
        and not denied_by([other for other in granted if other is not each], worked)
    ]
    assert needless == [], "the role grants what the worker never does"
