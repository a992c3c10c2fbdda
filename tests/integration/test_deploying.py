"""docs/deploying.md, walked command by command in a fresh clone, against the emulator.

The emulator knows no Application Auto Scaling, and there is no container engine: the clone's
compute template goes without its scaling, and `docker` is a stand-in that registers an image.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from infra.embedded_aws import EmbeddedAws
from infra.stack import deploy, template_path
from tests.image_steps import REPOSITORY
from tests.integration.conftest import session_of
from tests.integration.deployable import without_scaling
from worker.doctor.image_version import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import boto3

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("aws", "git", "make", "bash"))),
    reason="the documented deployment needs the AWS CLI, git, make and bash",
)

DOCKER = """#!/bin/sh
[ "$1" = login ] && { cat > /dev/null; exit 0; }
while [ $# -gt 0 ]; do [ "$1" = --tag ] && image=$2; shift; done
exec aws ecr put-image --repository-name siftbeam-billing --image-tag "${image##*:}" \\
  --image-manifest '{"schemaVersion":2}' --query image.imageId
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    # The default names are an account's own, so this needs an account of its own.
    with EmbeddedAws() as made:
        yield made


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    place = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, place / name)
    compute = place / "infra/compute.yaml"
    compute.write_text(without_scaling(compute.read_text()))
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "A clone"]):
        subprocess.run([*git, *command], cwd=place, check=True)  # noqa: S603 - our own words
    return place


def documented() -> list[str]:
    text = (REPOSITORY / "docs/deploying.md").read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def test_the_page_leads_from_a_clone_to_a_worker(
    aws: EmbeddedAws, clone: Path, tmp_path: Path
) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "docker").write_text(DOCKER)
    (binaries / "docker").chmod(0o755)
    # What `make install` would bring, which every other test has proved: this environment's own.
    (binaries / "siftbeam-billing").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "from worker.cli import main; main()" "$@"\n'
    )
    (binaries / "siftbeam-billing").chmod(0o755)
    first, *rest = documented()
    assert first.startswith("make install\n")
    script = "\n".join(["set -euo pipefail", "PLAN=yes make deploy", *rest])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SIFTBEAM_")},
        **aws.environment(),
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(clone),
        "AWS_PAGER": "",
        "ASK": "no",
        "POLL_SECONDS": "0.5",
    }

    # The doctor has no Stripe to ask here; that is all it may complain of, and TTL, which the
    # emulator does not take from a template.
    script = script.replace("siftbeam-billing doctor", "siftbeam-billing doctor || true")
    walked = subprocess.run(  # noqa: S603 - the page's own commands
        ["bash", "-c", script],  # noqa: S607
        cwd=clone,
        env=environment,
        input="rk_test_invented\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert "the other stacks can be shown once siftbeam-data stands" in walked.stdout
    session = session_of(aws)
    stacks = client(session, aws, "cloudformation").describe_stacks()["Stacks"]
    assert {stack["StackName"]: stack["StackStatus"] for stack in stacks} == {
        "siftbeam-data": "CREATE_COMPLETE",
        "siftbeam-compute": "CREATE_COMPLETE",
        "siftbeam-observability": "CREATE_COMPLETE",
        "siftbeam-operators": "CREATE_COMPLETE",
    }
    secret = client(session, aws, "secretsmanager").get_secret_value(
        SecretId="siftbeam/stripe/api-key"
    )
    assert secret["SecretString"] == '{"STRIPE_SECRET_KEY": "rk_test_invented"}'
    task = client(session, aws, "ecs").describe_task_definition(taskDefinition="siftbeam-worker")
    (container,) = task["taskDefinition"]["containerDefinitions"]
    assert re.search(r"/siftbeam-billing@sha256:[0-9a-f]{64}$", container["image"])
    label = container["dockerLabels"]["org.opencontainers.image.version"]
    assert re.fullmatch(re.escape(version(PACKAGE)) + r"\+[0-9a-f]{12}", label)
    assert {"name": "SIFTBEAM_STRIPE_GRACE_HOURS", "value": "72"} in container["environment"]
    assert "rk_test_invented" not in walked.stdout + walked.stderr
    failing = set(re.findall(r"^│ ([^│]+?) +│ failed", walked.stdout, re.MULTILINE))
    assert {name for name in failing if not name.startswith("table ")} <= {"Stripe"}, failing


def test_private_subnets_get_their_endpoints(aws: EmbeddedAws, tmp_path: Path) -> None:
    template = tmp_path / "compute.yaml"
    template.write_text(without_scaling(template_path("compute").read_text()))
    ec2 = client(session_of(aws), aws, "ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    parameters = {
        "QueuePrefix": "private-",
        "VpcId": vpc,
        "SubnetIds": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        "ImageUri": "registry.example/worker:1",
        "AssignPublicIp": "DISABLED",
        "CreateEndpoints": "true",
        "RouteTableIds": ec2.describe_route_tables()["RouteTables"][0]["RouteTableId"],
    }

    deploy(client(session_of(aws), aws, "cloudformation"), "compute", template, parameters)

    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert sorted(each["ServiceName"].rsplit("ap-northeast-1.", 1)[1] for each in endpoints) == [
        "dynamodb",
        "ecr.api",
        "ecr.dkr",
        "logs",
        "s3",
        "secretsmanager",
        "sqs",
    ]


def client(session: boto3.Session, aws: EmbeddedAws, service: str) -> Any:  # noqa: ANN401 - any service's
    return session.client(service, endpoint_url=aws.url)
