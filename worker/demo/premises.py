"""The premises: AWS and Stripe on this machine, shut off from every real account."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from infra.embedded_aws import EmbeddedAws
from infra.stripe_simulator import DEFAULT_KEY, SeedMeter, StripeSimulator, serve
from worker.aws import connect
from worker.operator_installation import OperatorInstallation
from worker.settings import Settings
from worker.stripe_api.api_key import FIELD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.clock import Clock

# The longest that Stripe offers: the monthly tick of 02:00 comes in time.
# https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period
GRACE_HOURS = 72
GIB = 1_073_741_824
STORAGE_CENTS_PER_GIB = Decimal(10)
FILE_CENTS_PER_BYTE = Decimal("0.001")
# What may lead a client of this process, or this project's settings, somewhere else.
_FOREIGN = ("AWS_", "SIFTBEAM_")


@dataclass(frozen=True, slots=True)
class Premises:
    """What runs on this machine.

    Args:
        installation: the worker, wired to the emulator and the simulator.
        variables: what points another process at them.
    """

    installation: OperatorInstallation
    variables: Mapping[str, str]


@contextmanager
def open_premises(simulator: StripeSimulator, clock: Clock, **variables: str) -> Iterator[Premises]:
    """Start both; nothing of them is left when the block ends.

    While the block runs this process's environment names no AWS account but the emulator's.

    Args:
        simulator: Stripe.
        clock: the worker's.
        variables: more environment variables, by name.

    Raises:
        EmbeddedAwsError: the emulator is not installed, or did not start.
    """
    with EmbeddedAws() as aws, serve(simulator) as served:
        names = aws.environment() | {
            "SIFTBEAM_STRIPE_API_BASE": served.url,
            "SIFTBEAM_STRIPE_GRACE_HOURS": str(GRACE_HOURS),
            **variables,
        }
        with _environment(names):
            settings = Settings(log_format="console", stripe_share=100)
            yield Premises(OperatorInstallation(settings, connect(settings), clock), names)


def keep_key(installation: OperatorInstallation) -> None:
    """Put the simulator's key where the worker looks for Stripe's."""
    installation.clients.secrets.put_secret_value(
        SecretId=installation.settings.stripe_secret_id,
        SecretString=json.dumps({FIELD: DEFAULT_KEY}),
    )


def seed_meters(settings: Settings) -> tuple[SeedMeter, SeedMeter]:
    """The two meters and their prices: $0.10 per GiB-month, rounded up; $0.00001 per byte."""
    return (
        SeedMeter(
            event_name=settings.storage_event_name,
            display_name="Storage Usage",
            unit_amount=STORAGE_CENTS_PER_GIB,
            divide_by=GIB,
        ),
        SeedMeter(
            event_name=settings.file_event_name,
            display_name="File Processing (Bytes)",
            unit_amount=FILE_CENTS_PER_BYTE,
        ),
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith(_FOREIGN):
            del os.environ[name]
    # A profile may name endpoints too.
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.update(nowhere | dict(variables))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
