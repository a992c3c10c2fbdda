"""The worker's ECS service, where the emulator has no way to be so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber

from tests.unit.dead_letters.test_browsing import StillClock
from worker.doctor.check import NotChecked, Standing
from worker.doctor.image_version import PACKAGE, look_at_version
from worker.doctor.service import Service
from worker.doctor.worker_settings import look_at_worker_settings
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ecs import ECSClient

    from worker.doctor.check import Verdict

OURS = version(PACKAGE)
CLOCK = StillClock()
FAMILY = "arn:aws:ecs:eu-west-1:000000000000:task-definition/siftbeam-worker"
DIGEST = f"registry.example/worker@sha256:{'0' * 64}"


@pytest.fixture
def ecs() -> ECSClient:
    client: ECSClient = boto3.client(
        "ecs",
        region_name="eu-west-1",
        aws_access_key_id="invented",
        aws_secret_access_key="invented",
    )
    return client


@pytest.fixture
def stubber(ecs: ECSClient) -> Iterator[Stubber]:
    with Stubber(ecs) as made:
        yield made
        made.assert_no_pending_responses()


@pytest.fixture
def service(ecs: ECSClient) -> Service:
    return Service(ecs, "siftbeam-")


def deployment(revision: int, **said: object) -> dict[str, object]:
    return {
        "status": "PRIMARY",
        "taskDefinition": f"{FAMILY}:{revision}",
        "createdAt": CLOCK.now() - timedelta(minutes=5),
        "runningCount": 1,
        "pendingCount": 0,
        "rolloutState": "COMPLETED",
        **said,
    }


def told(stubber: Stubber, *deployments: dict[str, object], status: str = "ACTIVE") -> None:
    stubber.add_response(
        "describe_services",
        {"services": [{"status": status, "deployments": list(deployments)}]},
        {"cluster": "siftbeam-billing", "services": ["siftbeam-worker"]},
    )


def task(
    stubber: Stubber,
    revision: int,
    label: str | None,
    image: str = DIGEST,
    **variables: str,
) -> None:
    container = {
        "name": "worker",
        "image": image,
        "environment": [{"name": name, "value": value} for name, value in variables.items()],
        **({"dockerLabels": {"org.opencontainers.image.version": label}} if label else {}),
    }
    stubber.add_response(
        "describe_task_definition",
        {"taskDefinition": {"containerDefinitions": [{"name": "proxy"}, container]}},
        {"taskDefinition": f"{FAMILY}:{revision}"},
    )


def looked(service: Service) -> tuple[Verdict, ...]:
    _, *troubles = look_at_version(service, CLOCK)
    return tuple(troubles)


def test_a_worker_of_this_version_is_well_whatever_its_commit(
    stubber: Stubber, service: Service
) -> None:
    told(stubber, deployment(1))
    task(stubber, 1, f"{OURS}+0123456789ab")

    (verdict,) = look_at_version(service, CLOCK)

    assert verdict.standing is Standing.OK
    assert f"the service runs {OURS}+0123456789ab ({DIGEST})" in verdict.detail


def test_two_versions_beside_each_other_are_a_deployment_under_way(
    stubber: Stubber, service: Service
) -> None:
    old = deployment(1, status="ACTIVE", createdAt=CLOCK.now() - timedelta(days=9), runningCount=2)
    told(stubber, old, deployment(2, rolloutState="IN_PROGRESS", runningCount=0, pendingCount=1))
    task(stubber, 1, "0.0.1")
    task(stubber, 2, OURS)

    (verdict,) = looked(service)

    assert verdict.standing is Standing.WARNING
    assert f"under way since 2026-11-01 23:55 UTC: {DIGEST} is wanted ({OURS}, 1 task)" in (
        verdict.detail
    )
    assert f"{DIGEST} still runs (0.0.1, 2 tasks)" in verdict.detail
    assert verdict.commands == (
        "aws ecs wait services-stable --cluster siftbeam-billing --services siftbeam-worker",
    )


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"createdAt": datetime(2026, 11, 1, 22, 59, tzinfo=UTC)}, "does not come to its end"),
        (
            {"rolloutState": "FAILED", "rolloutStateReason": "tasks failed to start."},
            "failed: tasks failed to start.",
        ),
    ],
)
def test_a_deployment_that_got_stuck_or_failed_fails(
    stubber: Stubber, service: Service, wanted: dict[str, object], said: str
) -> None:
    told(stubber, deployment(2, **{"rolloutState": "IN_PROGRESS", **wanted}))
    task(stubber, 2, OURS)

    (verdict,) = looked(service)

    assert verdict.standing is Standing.FAILED
    assert said in verdict.detail
    assert verdict.commands[-1] == "make deploy 'STACKS=image compute'"


def test_what_of_an_earlier_deployment_runs_no_more_is_not_told(
    stubber: Stubber, service: Service
) -> None:
    told(stubber, deployment(2), deployment(1, status="INACTIVE", runningCount=0))
    task(stubber, 2, OURS)
    task(stubber, 1, "0.0.1")

    assert looked(service) == ()


@pytest.mark.parametrize(
    ("image", "standing"),
    [
        (f"registry.example:5000/worker:v{OURS}", Standing.OK),
        (f"registry.example:5000/worker:{OURS}@sha256:{'0' * 64}", Standing.OK),
        ("registry.example:5000/worker:0123456789ab-arm64", Standing.WARNING),
        ("registry.example:5000/worker:latest", Standing.WARNING),
        ("worker", Standing.WARNING),
    ],
)
def test_without_a_label_a_tag_may_tell_the_version(
    stubber: Stubber, service: Service, image: str, standing: Standing
) -> None:
    told(stubber, deployment(1))
    task(stubber, 1, None, image)

    verdicts = tuple(look_at_version(service, CLOCK))

    assert max(each.standing for each in verdicts) is standing
    assert ("runs an unknown version" in verdicts[0].detail) is (standing is Standing.WARNING)


def test_a_worker_that_runs_elsewhere_is_not_looked_at_and_nothing_is_wrong(
    stubber: Stubber, service: Service
) -> None:
    told(stubber, deployment(1), status="INACTIVE")

    assert looked(service) == ()
    (settings,) = look_at_worker_settings(service, Settings())
    assert settings.standing is Standing.OK


def test_who_may_not_ask_ecs_is_told_what_to_allow(stubber: Stubber, service: Service) -> None:
    for _ in range(2):
        stubber.add_client_error("describe_services", "AccessDeniedException", "not authorized")

    with pytest.raises(NotChecked, match=r"DescribeServices: .*allow ecs:DescribeServices and"):
        looked(service)
    with pytest.raises(NotChecked, match="see image version"):
        tuple(look_at_worker_settings(service, Settings()))


def test_a_setting_of_this_shell_alone_is_to_be_unset(stubber: Stubber, service: Service) -> None:
    told(stubber, deployment(1))
    task(stubber, 1, OURS, SIFTBEAM_SEND="on", SIFTBEAM_LOG_LEVEL="DEBUG")

    (verdict,) = look_at_worker_settings(
        service, Settings(bill_from=datetime(2026, 10, 1, tzinfo=UTC))
    )

    assert verdict.standing is Standing.FAILED
    assert "SIFTBEAM_BILL_FROM is unset, here 2026-10-01" in verdict.detail
    assert verdict.commands == ("unset SIFTBEAM_BILL_FROM",)


def test_a_worker_that_cannot_read_its_settings_is_told_without_their_values(
    stubber: Stubber, service: Service
) -> None:
    told(stubber, deployment(1))
    task(
        stubber,
        1,
        OURS,
        SIFTBEAM_SEND="perhaps",
        SIFTBEAM_STRIPE_API_KEY="sk_test_invented",
    )

    plain, unreadable = look_at_worker_settings(service, Settings())

    assert plain.standing is unreadable.standing is Standing.FAILED
    assert "no valid SIFTBEAM_SEND" in unreadable.detail
    assert "the task definition holds SIFTBEAM_STRIPE_API_KEY" in plain.detail
    assert "sk_test_invented" not in f"{plain}{unreadable}"
