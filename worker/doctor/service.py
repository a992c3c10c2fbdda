"""The worker's ECS service, as infra/compute.yaml makes it: what it runs, and by which settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from worker.doctor.check import NO_ACCESS, NotChecked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef

_CONTAINER = "worker"
# https://specs.opencontainers.org/image-spec/annotations/
_LABEL = "org.opencontainers.image.version"
_TAGGED = re.compile(r":v?(\d+\.\d+[^:/@]*)(?:@|$)")
_RUNS = "ACTIVE"
_CURRENT = "PRIMARY"


@dataclass(frozen=True, slots=True)
class Rollout:
    """A deployment of the service, as ECS means the word.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html

    Args:
        current: whether it is the one that is wanted.
        state: ``COMPLETED``, ``IN_PROGRESS`` or ``FAILED``.
        reason: of that state, in ECS's words.
        begun: when.
        tasks: how many run; none while the worker sleeps.
        image: the container's, by digest or tag.
        version: of the code in it; None where neither label nor tag says.
        variables: the container's environment.
    """

    current: bool
    state: str
    reason: str
    begun: datetime
    tasks: int
    image: str
    version: str | None
    variables: Mapping[str, str]


class Service:
    """Reads the service, once; safe between threads.

    Args:
        ecs: the client.
        prefix: begins the names of cluster and service.
    """

    def __init__(self, ecs: ECSClient, prefix: str) -> None:
        self._ecs = ecs
        self.cluster = f"{prefix}billing"
        self.name = f"{prefix}worker"

    @cached_property
    def rollouts(self) -> tuple[Rollout, ...]:
        """The one that is wanted first, then those whose tasks still run; none without a service.

        Raises:
            NotChecked: ECS does not tell.
        """
        try:
            read = [self._read(each) for each in self._deployments()]
        except ClientError as error:
            details = error.response["Error"]
            if details["Code"] in NO_ACCESS:
                raise
            raise NotChecked(
                f"{error.operation_name}: {details['Code']}: {details['Message']}; allow "
                "ecs:DescribeServices and ecs:DescribeTaskDefinition to whoever runs doctor"
            ) from None
        there = [each for each in read if each.current or each.tasks]
        return tuple(sorted(there, key=lambda each: not each.current))

    def _deployments(self) -> Sequence[DeploymentTypeDef]:
        try:
            answer = self._ecs.describe_services(cluster=self.cluster, services=[self.name])
        except self._ecs.exceptions.ClusterNotFoundException:
            return ()
        return [
            deployment
            for service in answer["services"]
            if service.get("status") == _RUNS
            for deployment in service.get("deployments", ())
        ]

    def _read(self, deployment: DeploymentTypeDef) -> Rollout:
        named = deployment["taskDefinition"]
        task = self._ecs.describe_task_definition(taskDefinition=named)["taskDefinition"]
        containers = task["containerDefinitions"]
        ours = (each for each in containers if each.get("name") == _CONTAINER)
        container = next(ours, containers[0])
        image = container.get("image", "")
        return Rollout(
            current=deployment.get("status") == _CURRENT,
            state=deployment.get("rolloutState", "COMPLETED"),
            reason=deployment.get("rolloutStateReason", ""),
            begun=deployment["createdAt"],
            tasks=deployment.get("runningCount", 0) + deployment.get("pendingCount", 0),
            image=image,
            version=container.get("dockerLabels", {}).get(_LABEL) or _of_tag(image),
            variables={
                each["name"]: each.get("value", "") for each in container.get("environment", ())
            },
        )


def _of_tag(image: str) -> str | None:
    """A digest says nothing, nor does a commit."""
    match = _TAGGED.search(image)
    return None if match is None else match[1]
