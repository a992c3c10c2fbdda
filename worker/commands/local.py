"""``local``: the embedded parts on their own, for any AWS client and for this command line."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from infra.errors import InfraError
from worker.clock import SystemClock
from worker.commands.printing import errors
from worker.commands.provision import deploy_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

# Whom the simulator knows from the start: the first steps of the README are taken with one.
_CUSTOMERS = ("cus_A",)
_SUBSCRIBED = timedelta(days=90)
app = typer.Typer(no_args_is_help=True, help="Embedded AWS and Stripe on this machine.")


@app.callback()
def _local() -> None:
    """Keep ``up`` a name of its own though it is the only one."""


@app.command()
def up() -> None:
    """Start embedded AWS and a Stripe simulator; print export lines; run until Ctrl-C."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    try:
        _serve(ended)
    except InfraError as error:
        errors.print(f"siftbeam-billing: {error}", style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None


def _serve(ended: threading.Event) -> None:
    # The simulator takes a quarter of a second to import, which no other command is to pay.
    from infra.stripe_simulator import (  # noqa: PLC0415
        RunningClock,
        Seed,
        SeedCustomer,
        SeedSubscription,
        StripeSimulator,
    )
    from infra.stripe_simulator import Settings as SimulatorSettings  # noqa: PLC0415
    from worker.demo.premises import (  # noqa: PLC0415
        GRACE_HOURS,
        keep_key,
        open_premises,
        seed_meters,
    )

    simulator = StripeSimulator(RunningClock(), SimulatorSettings(grace_hours=GRACE_HOURS))
    errors.print("starting embedded AWS and the Stripe simulator")
    with open_premises(simulator, SystemClock()) as premises:
        deploy_data(premises.installation)
        keep_key(premises.installation)
        simulator.seed(
            Seed(
                meters=seed_meters(premises.installation.settings),
                customers=tuple(SeedCustomer(id=customer) for customer in _CUSTOMERS),
                subscriptions=tuple(
                    SeedSubscription(customer=customer, started=SystemClock().now() - _SUBSCRIBED)
                    for customer in _CUSTOMERS
                ),
            )
        )
        _print_exports(premises.variables)
        errors.print("ready: set the variables above in another shell; Ctrl-C ends both")
        ended.wait()
    errors.print("ended; nothing is kept")


def _print_exports(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    sys.stdout.flush()
