"""The version that the worker runs, against this command's and that of every other worker."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from worker.doctor.check import failed, ok, warning
from worker.doctor.shell import aws, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.clock import Clock
    from worker.doctor.check import Verdict
    from worker.doctor.service import Rollout, Service

PACKAGE = "siftbeam-billing"
# A worker drains in two minutes, and a new one is healthy in as many.
_LONGEST = timedelta(hours=1)


def look_at_version(service: Service, machine: Clock) -> Iterator[Verdict]:
    """Whether one version runs, and whether it is this command's.

    Args:
        service: the worker's.
        machine: this machine's clock.
    """
    ours = version(PACKAGE)
    here = f"{PACKAGE} {ours}, with stripe {version('stripe')}"
    rollouts = service.rollouts
    if not rollouts:
        yield ok(
            f"{here}; the worker's not checked: no ECS service {service.name} in cluster "
            f"{service.cluster}"
        )
        return
    wanted = rollouts[0]
    yield ok(f"{here}; the service runs {_version(wanted)} ({wanted.image})")
    yield from _look_at_rollouts(service, machine)
    if wanted.version is None:
        yield warning(
            f"nothing tells the version of {wanted.image}; this command is {ours}",
            "deploy the compute template with ImageVersion, which `make deploy` sets for what it "
            "builds",
        )
    elif _release(wanted.version) != _release(ours):
        yield _other(wanted, ours)


def _look_at_rollouts(service: Service, machine: Clock) -> Iterator[Verdict]:
    """Whether the last deployment has ended well."""
    wanted, *others = service.rollouts
    # Under an image of one name a task definition may still differ in its settings.
    running = f"{wanted.image} is wanted ({_tasks(wanted)})" + "".join(
        f", {other.image} still runs ({_tasks(other)})" for other in others
    )
    of_service = ("--cluster", service.cluster, "--services", service.name)
    events = aws(
        "ecs", "describe-services", *of_service, "--query", "services[0].events[:10].message"
    )
    begun = f"{wanted.begun:%Y-%m-%d %H:%M %Z}"
    if wanted.state == "FAILED":
        yield failed(
            f"the deployment of {begun} failed: {wanted.reason}: {running}",
            "see what ECS and the worker's log say of it, mend that and deploy again",
            events,
            make("deploy", "STACKS=image compute"),
        )
    elif others or wanted.state == "IN_PROGRESS":
        if machine.now() - wanted.begun > _LONGEST:
            yield failed(
                f"the deployment of {begun} does not come to its end: {running}",
                "see what ECS and the worker's log say of it, mend that and deploy again",
                events,
                make("deploy", "STACKS=image compute"),
            )
        else:
            yield warning(
                f"a deployment is under way since {begun}: {running}",
                "wait for its end",
                aws("ecs", "wait", "services-stable", *of_service),
            )


def _version(rollout: Rollout) -> str:
    return rollout.version or "an unknown version"


def _tasks(rollout: Rollout) -> str:
    return f"{_version(rollout)}, {rollout.tasks} task{'' if rollout.tasks == 1 else 's'}"


def _other(wanted: Rollout, ours: str) -> Verdict:
    detail = f"the service runs {wanted.version} ({wanted.image}), and this command is {ours}"
    if _ordered(wanted.version or "") < _ordered(ours):
        return warning(
            detail,
            "deploy this version; or run the commands of the older one, from its checkout",
            make("deploy", "STACKS=image compute"),
        )
    return warning(
        detail,
        f"update the checkout that this command is installed from to {wanted.version}, then "
        "install it again",
        make("install"),
    )


def _release(written: str) -> str:
    """Without the commit: https://packaging.python.org/en/latest/specifications/version-specifiers/."""
    return written.partition("+")[0]


def _ordered(written: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", _release(written))]
