"""The settings that the worker runs by, against those that this command was given.

What the doctor, `preview` and `report` say holds by this shell's settings; the worker has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from worker.doctor.check import NotChecked, failed, ok
from worker.doctor.shell import setting, unset
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.doctor.check import Verdict
    from worker.doctor.service import Service

_PREFIX = "SIFTBEAM_"
_KEY = "stripe_api_key"
# How fast it works and what it logs is its own affair, what usage costs a command's.
_EACH_ITS_OWN = frozenset(
    {
        _KEY,
        "claim_seconds",
        "concurrency",
        "currency",
        "drain_seconds",
        "file_price",
        "log_format",
        "log_level",
        "storage_price",
        "storage_unit",
        "stripe_api_base",
        "stripe_share",
        "visibility_seconds",
    }
)


def look_at_worker_settings(service: Service, ours: Settings) -> Iterator[Verdict]:
    """Whether the service's settings are this command's.

    Args:
        service: the worker's.
        ours: what this command goes by.
    """
    try:
        rollouts = service.rollouts
    except NotChecked:
        raise NotChecked("the service cannot be looked at, see image version") from None
    if not rollouts:
        yield ok("not checked: there is no ECS service of ours here")
        return
    variables = rollouts[0].variables
    if _PREFIX + _KEY.upper() in variables:
        yield failed(
            f"the task definition holds {_PREFIX}{_KEY.upper()}, for everybody to read who may "
            "describe it",
            "roll that key in Stripe, put the new one into the secret, and deploy the compute "
            "template, which has no such variable",
        )
    try:
        theirs = _read(variables)
    except ValidationError as error:
        wrong = sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]})
        yield failed(
            "the worker cannot start: its task definition has no valid "
            + ", ".join(_PREFIX + name.upper() for name in wrong),
            "deploy the compute template with valid parameters",
        )
        return
    differing = [
        name
        for name in sorted(Settings.model_fields.keys() - _EACH_ITS_OWN)
        if getattr(theirs, name) != getattr(ours, name)
    ]
    if not differing:
        yield ok("the service's are this command's")
        return
    told = "; ".join(
        f"{_PREFIX}{name.upper()} is {_written(theirs, name) or 'unset'}, "
        f"here {_written(ours, name) or 'unset'}"
        for name in differing
    )
    yield failed(
        f"the worker goes by other settings: {told}",
        "export the worker's here, or deploy the compute template with the right ones",
        *(_export(theirs, name) for name in differing),
    )


def _read(variables: Mapping[str, str]) -> Settings:
    """What the worker makes of its environment; what it does not name has its default there."""
    return Settings(
        **{
            name: variables.get(_PREFIX + name.upper(), field.default)
            for name, field in Settings.model_fields.items()
            if name not in _EACH_ITS_OWN
        }
    )


def _export(settings: Settings, name: str) -> str:
    written = _written(settings, name)
    return unset(name.upper()) if written is None else setting(name.upper(), written)


def _written(settings: Settings, name: str) -> str | None:
    value: object = getattr(settings, name)
    return None if value is None else str(value)
