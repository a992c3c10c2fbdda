"""A short day; `make flow` lives through a long one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from tests.flow.day import Day
from tests.kill.theatre import theatre

if TYPE_CHECKING:
    from infra.embedded_aws import EmbeddedAws


def test_workers_come_and_go_and_every_fact_is_billed_once(embedded_aws: EmbeddedAws) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - what makes a failure repeatable
    with theatre(embedded_aws) as scenario:
        day = Day(scenario, seed, facts=100, messages=250, pause=2.0)

        day.run()

    assert day.wrong == []
    assert day.drains
