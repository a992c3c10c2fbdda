"""``health``: whether the worker on this machine is well."""

from __future__ import annotations

import time
from dataclasses import asdict

import typer

from worker.commands.printing import AsJson, print_json
from worker.health import examine, heartbeat_file


def health(as_json: AsJson = False) -> None:
    """Say whether the worker beside this command is well; exits 1 where it is not.

    It reads the file that the worker writes every five seconds (SIFTBEAM_HEARTBEAT_FILE). For a
    container's health check use `python -m worker.health`, which says the same in a fraction of
    the time.
    """
    found = examine(heartbeat_file(), time.time())
    if as_json:
        heartbeat = None if found.heartbeat is None else asdict(found.heartbeat)
        print_json({"problem": found.problem, "heartbeat": heartbeat})
    else:
        typer.echo(found.text)
    if found.problem is not None:
        raise typer.Exit(1)
