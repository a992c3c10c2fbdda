"""``doctor``: is everything set up right, and what mends what is not."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import typer

from worker.aws import client_config, is_emulated, session_for
from worker.clock import SystemClock
from worker.commands.opening import open_installation
from worker.commands.printing import AsJson, console, print_json, print_table
from worker.doctor.check import Standing, run
from worker.doctor.checks import every_check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.doctor.check import Finding


def doctor(as_json: AsJson = False) -> None:
    """Check tables, queues, rules, bucket, secret and meters, and say what mends what is wrong."""
    installation = open_installation()
    settings = installation.settings
    session, config = session_for(settings), client_config(settings)
    with (
        closing(session.client("events", config=config)) as events,
        closing(session.client("ecs", config=config)) as ecs,
        closing(session.client("cloudwatch", config=config)) as cloudwatch,
        closing(session.client("sns", config=config)) as sns,
    ):
        checks = every_check(
            installation,
            events=events,
            ecs=ecs,
            cloudwatch=cloudwatch,
            sns=sns,
            machine=SystemClock(),
            emulated=is_emulated(),
        )
        findings = run(checks)
    healthy = all(finding.verdict.standing is not Standing.FAILED for finding in findings)
    if as_json:
        print_json(
            {
                "ok": healthy,
                "findings": [
                    {
                        "check": finding.check,
                        "standing": finding.verdict.standing,
                        "detail": finding.verdict.detail,
                        "remedy": finding.verdict.remedy,
                        "commands": list(finding.verdict.commands),
                    }
                    for finding in findings
                ],
            }
        )
    else:
        _print(findings)
    if not healthy:
        raise typer.Exit(1)


def _print(findings: Sequence[Finding]) -> None:
    print_table(
        "Doctor",
        ("check", "", "found"),
        [(finding.check, finding.verdict.standing, finding.verdict.detail) for finding in findings],
    )
    # Remedies stand below, each command on a line of its own: to be copied as it is.
    ailing: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for finding in findings:
        if finding.verdict.remedy is not None:
            told = finding.verdict.remedy, finding.verdict.commands
            ailing.setdefault(told, []).append(finding.check)
    for (remedy, commands), checks in ailing.items():
        text = f"{', '.join(dict.fromkeys(checks))}:\n  {remedy}"
        console.print(text, soft_wrap=True, markup=False, emoji=False)
        for command in commands:
            console.print(f"    {command}", soft_wrap=True, markup=False, emoji=False)
    counts = {
        standing: sum(1 for finding in findings if finding.verdict.standing is standing)
        for standing in Standing
    }
    console.print(", ".join(f"{count} {standing}" for standing, count in counts.items()))
