"""The clocks: ours against AWS's and Stripe's.

Billing assumes that clocks agree within five minutes: Stripe takes no timestamp further ahead
(https://docs.stripe.com/api/billing/meter-event/create), AWS no signature further off than fifteen.
"""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from worker.doctor.asking import asked
from worker.doctor.check import failed, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_sqs import SQSClient

    from worker.clock import Clock
    from worker.doctor.check import Verdict
    from worker.settings import Settings
    from worker.stripe_api.connection import StripeConnection

_TOO_FAR = timedelta(minutes=5)
_NOTABLE = timedelta(seconds=30)
_REMEDY = "synchronize this machine's clock by NTP (Fargate does so by itself)"
_NTP = "sudo timedatectl set-ntp true"


def look_at_aws_clock(sqs: SQSClient, settings: Settings, machine: Clock) -> Iterator[Verdict]:
    """How far the machine's clock is from that of AWS's answer."""
    answer = sqs.list_queues(QueueNamePrefix=settings.queue_prefix, MaxResults=1)
    written = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    theirs = None if written is None else parsedate_to_datetime(written)
    yield from judge("AWS", theirs, machine.now())


def look_at_stripe_clock(stripe: StripeConnection, clock: Clock) -> Iterator[Verdict]:
    """How far our clock is from that of Stripe's answer."""
    with asked(stripe, "Stripe's clock", "Account"):
        theirs = stripe.server_time()
    yield from judge("Stripe", theirs, clock.now())


def judge(whose: str, theirs: datetime | None, ours: datetime) -> Iterator[Verdict]:
    """What a difference means; a second of it is the answer's way here."""
    if theirs is None:
        yield ok(f"{whose} does not tell its time")
        return
    ahead = ours - theirs
    said = f"{abs(ahead).total_seconds():,.0f} s {'ahead of' if ahead > timedelta(0) else 'behind'}"
    if abs(ahead) >= _TOO_FAR:
        yield failed(
            f"this machine's clock is {said} {whose}'s: usage gets a wrong time", _REMEDY, _NTP
        )
    elif abs(ahead) >= _NOTABLE:
        yield warning(f"this machine's clock is {said} {whose}'s", _REMEDY, _NTP)
    else:
        yield ok(f"agrees with {whose}'s")
