"""A small campaign; `make kill` fights large ones."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from tests.kill.campaign import Campaign
from tests.kill.theatre import theatre

if TYPE_CHECKING:
    from infra.embedded_aws import EmbeddedAws


def test_killed_workers_bill_every_fact_once(embedded_aws: EmbeddedAws) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - what makes a failure repeatable
    with theatre(embedded_aws) as scenario:
        campaign = Campaign(scenario, seed, kills=6, workers=2, thorough=False)

        verdict = campaign.run()

    assert verdict.wrong == []
    assert verdict.events > 0
