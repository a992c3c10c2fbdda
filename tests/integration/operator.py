"""An operator who runs commands on a scenario's installation and clock."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from typer.main import get_command
from typer.testing import CliRunner

import worker.commands
from infra.stripe_simulator import Seed, SeedSubscription
from worker.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Unpack

    import pytest

    from tests.integration.scenario import Changes, Scenario
    from worker.operator_installation import OperatorInstallation


_COMMAND = functools.cache(get_command)


class Answer(BaseModel):
    """What a command prints for machines."""

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
        self.changes: Changes = {}
        self.installation: OperatorInstallation = scenario.worker
        # Put together once, and not for every command: that takes a tenth of a second.
        monkeypatch.setattr("typer.testing._get_command", _COMMAND)
        for module in _opening():
            monkeypatch.setattr(module, "open_installation", lambda: self.installation)

    def use(self, **changes: Unpack[Changes]) -> None:
        """Begin anew with these settings."""
        self.changes = changes
        self.installation = self.scenario.installation(**changes)

    def export(self, name: str, value: str) -> None:
        """Begin anew with one setting more, as a shell exports it."""
        field = name.removeprefix("SIFTBEAM_").lower()
        self.use(**cast("Changes", {**self.changes, field: value}))

    def run(self, *arguments: str, answer: str | None = None) -> Ran:
        """A command, and what its questions are answered."""
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"}, input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)


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


def _opening() -> Iterator[ModuleType]:
    """Every command that opens the installation."""
    for found in pkgutil.iter_modules(worker.commands.__path__, "worker.commands."):
        module = importlib.import_module(found.name)
        if hasattr(module, "open_installation") and not found.name.endswith(".opening"):
            yield module
