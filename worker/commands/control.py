"""``pause``, ``resume``, ``exclude`` and ``include``: what is sent, and who is billed at all."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import ClientError

from worker.commands.opening import open_installation
from worker.commands.options import read_customer, read_words
from worker.commands.printing import AsJson, console, errors, print_json
from worker.controls import Control, Controls, Kind
from worker.errors import BillingError

if TYPE_CHECKING:
    from worker.operator_installation import OperatorInstallation

Customer = Annotated[str | None, typer.Option(help="Only this customer. Default: everybody.")]
One = Annotated[str, typer.Argument(help="The customer, cus_….")]
By = Annotated[str, typer.Option(help="Who decided: a name or an address.")]
Why = Annotated[str, typer.Option(help="The reason.")]


def pause(
    *, customer: Customer = None, by: By = "", why: Why = "", as_json: AsJson = False
) -> None:
    """Stop sending to Stripe within half a minute; facts are recorded all the same."""
    _put(Kind.PAUSE, read_customer(customer), by, why, as_json=as_json)


def resume(*, customer: Customer = None, as_json: AsJson = False) -> None:
    """Send again. What waited goes with the next hourly tick, or now by `resolve --all`."""
    _end(Kind.PAUSE, read_customer(customer), as_json=as_json)


def exclude(
    customer: One,
    why: Annotated[str, typer.Option(help="The reason: internal, free, …")],
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Bill nothing new to a customer: facts are recorded as skipped, with the reason."""
    reason = read_words(why, "--why")
    _put(Kind.EXCLUDE, read_customer(customer, "customer"), by, reason, as_json=as_json)


def include(customer: One, as_json: AsJson = False) -> None:
    """Bill a customer's new facts again. What was skipped stays skipped."""
    _end(Kind.EXCLUDE, read_customer(customer, "customer"), as_json=as_json)


def _put(kind: Kind, customer: str | None, by: str, why: str, *, as_json: bool) -> None:
    installation = open_installation()
    now = installation.clock.now()
    # A pause in an emergency needs no words.
    said_by = read_words(by, "--by") if by else ""
    control = Control(said_by, read_words(why, "--why") if why else "", now)
    installation.controls.put(kind, customer, control)
    _show(installation.controls.read(), as_json=as_json)
    if customer is not None:
        _say_if_unknown(installation, customer)


def _end(kind: Kind, customer: str | None, *, as_json: bool) -> None:
    installation = open_installation()
    before = installation.controls.read()
    installation.controls.end(kind, customer)
    _show(installation.controls.read(), as_json=as_json)
    if not before.holds(kind, customer):
        was = "paused" if kind is Kind.PAUSE else "excluded"
        errors.print(
            f"{customer} was not {was}" if customer else f"sending was not {was} for everybody",
            soft_wrap=True,
        )


def _say_if_unknown(installation: OperatorInstallation, customer: str) -> None:
    """Who is about to come may be excluded beforehand; a mistyped id is to be seen."""
    # What was asked for is in force: that nobody can be asked about the customer undoes nothing.
    with suppress(BillingError, ClientError):
        unknown = installation.known_customers.problem(customer)
        if unknown is not None:
            errors.print(f"{unknown}; in force all the same, should they come", soft_wrap=True)


def _show(controls: Controls, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "paused": None if controls.everybody is None else str(controls.everybody),
                "pausedCustomers": {who: str(one) for who, one in controls.paused.items()},
                "excluded": {who: str(one) for who, one in controls.excluded.items()},
            }
        )
        return
    if controls.everybody is not None:
        console.print(f"paused for everybody {controls.everybody}")
    for who, one in sorted(controls.paused.items()):
        console.print(f"paused for {who} {one}")
    for who, one in sorted(controls.excluded.items()):
        console.print(f"{who} is excluded {one}")
    if controls == Controls():
        console.print("nothing is paused and nobody is excluded")
