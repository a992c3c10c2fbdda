"""A worker is judged by its poll loops and its leases, not by being there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from worker.health import VARIABLE, Heartbeat, examine

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0


def beat(**changes: float) -> Heartbeat:
    usual = {
        "written_at": NOW - 5,
        "poll_age": 3,
        "poll_limit": 180,
        "refused_for": 0,
        "refused_limit": 600,
        "lease_age": 20,
        "lease_limit": 90,
        "longest_in_hand": 7200,
    }
    return Heartbeat(in_hand=2, **(usual | changes))


@pytest.mark.parametrize(
    ("heartbeat", "problem"),
    [
        (beat(), None),
        (beat(written_at=NOW - 46), "no heartbeat for 46 s"),
        (beat(poll_age=181), "a poll loop has not turned for 181 s"),
        (
            beat(refused_for=601),
            (
                "SQS has let no poll of a queue succeed for 601 s; "
                "the log says why (action=receive_failed)"
            ),
        ),
        (beat(lease_age=91), "a lease has not been renewed for 91 s"),
    ],
)
def test_what_a_heartbeat_says(tmp_path: Path, heartbeat: Heartbeat, problem: str | None) -> None:
    path = tmp_path / "worker.json"
    heartbeat.write(path)

    health = examine(path, NOW)

    assert health.problem == problem
    assert health.heartbeat == heartbeat


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"written_at": 1}'])
def test_no_heartbeat_is_no_health(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "worker.json"
    if content is not None:
        path.write_text(content)

    health = examine(path, NOW)

    assert health.problem is not None
    assert str(path) in health.text


@pytest.mark.parametrize(
    "command",
    [["-m", "worker.health"], ["-c", "from worker.cli import main; main()", "health"]],
)
def test_both_commands_exit_with_what_they_found(tmp_path: Path, command: list[str]) -> None:
    environment = os.environ | {VARIABLE: str(tmp_path / "worker.json")}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
        )

    ill = run()
    assert (ill.returncode, ill.stdout.split(":")[0]) == (1, "unhealthy"), ill.stderr

    (tmp_path / "worker.json").write_text(
        json.dumps(
            {name: getattr(beat(), name) for name in Heartbeat.__dataclass_fields__}
            | {"written_at": 4_000_000_000}
        )
    )
    well = run()
    assert (well.returncode, well.stdout.split(":")[0]) == (0, "healthy"), well.stderr


def test_the_health_check_imports_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "worker.health"],
        capture_output=True,
        text=True,
        check=False,
    ).stderr

    assert not {"boto3", "stripe", "pydantic", "typer"} & {
        line.rsplit("|", 1)[-1].strip() for line in loaded.splitlines()
    }
