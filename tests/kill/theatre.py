"""A world to fight in: one data stack, one Stripe on the machine's clock, both empty."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from infra.stripe_simulator import (
    RunningClock,
    Seed,
    SeedMeter,
    SettableClock,
    StripeSimulator,
    serve,
)
from tests.integration.conftest import Clients, deploy_data_stack
from tests.integration.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.embedded_aws import EmbeddedAws


@contextmanager
def theatre(aws: EmbeddedAws) -> Iterator[Scenario]:
    """A scenario whose Stripe runs on the machine's clock, as its workers do."""
    clients = Clients.of(aws)
    simulator = StripeSimulator(RunningClock())
    simulator.seed(
        Seed(
            meters=tuple(
                SeedMeter(event_name=name, unit_amount=Decimal(1))
                for name in ("storage-usage", "file_processed")
            )
        )
    )
    try:
        with serve(simulator) as served:
            scenario = Scenario(
                deploy_data_stack(aws, clients),
                simulator,
                served.url,
                # Only what runs in this process looks at it, and nothing here asks for the time.
                SettableClock(datetime.now(UTC)),
            )
            try:
                yield scenario
            finally:
                scenario.close()
    finally:
        clients.close()
