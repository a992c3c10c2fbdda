"""A Stripe simulator: billing meters, their usage and its invoices, in memory.

    clock = SettableClock(datetime(2026, 10, 1, tzinfo=UTC))
    simulator = StripeSimulator(clock)
    with serve(simulator) as served:
        stripe.StripeClient(DEFAULT_KEY, base_addresses={"api": served.url})

See docs/stripe-simulator.md.
"""

from infra.stripe_simulator.clock import AdjustableClock, RunningClock, SettableClock
from infra.stripe_simulator.errors import ControlError, SimulatorError
from infra.stripe_simulator.faults import (
    AcceptThen500,
    AcceptThenHang,
    AcceptThenReset,
    Delay,
    Drop,
    HangWithoutAccepting,
    LateAccept,
    Match,
    Outage,
    Rule,
    Status,
)
from infra.stripe_simulator.journal import Seen
from infra.stripe_simulator.messages import Deliver, Delivery, Hang, Request, Reset, Response
from infra.stripe_simulator.seed import (
    Planted,
    Seed,
    SeedCustomer,
    SeedMeter,
    SeedSubscription,
)
from infra.stripe_simulator.server import Served, serve
from infra.stripe_simulator.settings import ACCOUNT, DEFAULT_KEY, ApiKey, Settings
from infra.stripe_simulator.simulator import StripeSimulator
from infra.stripe_simulator.truth import (
    CancelledEvent,
    CountedEvent,
    InvoicedLine,
    RefusedEvent,
    Total,
    Truth,
)

__all__ = [
    "ACCOUNT",
    "DEFAULT_KEY",
    "AcceptThen500",
    "AcceptThenHang",
    "AcceptThenReset",
    "AdjustableClock",
    "ApiKey",
    "CancelledEvent",
    "ControlError",
    "CountedEvent",
    "Delay",
    "Deliver",
    "Delivery",
    "Drop",
    "Hang",
    "HangWithoutAccepting",
    "InvoicedLine",
    "LateAccept",
    "Match",
    "Outage",
    "Planted",
    "RefusedEvent",
    "Request",
    "Reset",
    "Response",
    "Rule",
    "RunningClock",
    "Seed",
    "SeedCustomer",
    "SeedMeter",
    "SeedSubscription",
    "Seen",
    "Served",
    "SettableClock",
    "Settings",
    "SimulatorError",
    "Status",
    "StripeSimulator",
    "Total",
    "Truth",
    "serve",
]
