"""All checks: the one list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from producers.queues import Queue
from worker.doctor.account import look_at_account
from worker.doctor.alarms import look_at_alarms
from worker.doctor.bucket import Bucket
from worker.doctor.check import ACCOUNT, Check
from worker.doctor.clocks import look_at_aws_clock, look_at_stripe_clock
from worker.doctor.customers import CustomersCheck
from worker.doctor.days import look_at_days
from worker.doctor.deployment import Deployment
from worker.doctor.firing import look_at_firings
from worker.doctor.image_version import look_at_version
from worker.doctor.late_rows import LateRows
from worker.doctor.meters import look_at_meter
from worker.doctor.permissions import look_at_permissions
from worker.doctor.prices import look_at_price
from worker.doctor.queues import QueuesCheck
from worker.doctor.schedules import Schedules, watched_bucket
from worker.doctor.secret import look_at_secret, look_at_stripe
from worker.doctor.sending import look_at_sending
from worker.doctor.service import Service
from worker.doctor.tables import shapes, table_checks
from worker.doctor.worker_settings import look_at_worker_settings
from worker.stripe_api.drafts import grace_of_drafts
from worker.stripe_api.subscriptions import StripeSubscriptions
from worker.stripe_setup.catalogue import catalogue

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

    from worker.clock import Clock
    from worker.operator_installation import OperatorInstallation


def every_check(
    installation: OperatorInstallation,
    *,
    events: EventBridgeClient,
    ecs: ECSClient,
    cloudwatch: CloudWatchClient,
    sns: SNSClient,
    machine: Clock,
    emulated: bool,
) -> tuple[Check, ...]:
    """What the doctor looks at, in the order in which it is told.

    Args:
        installation: what is looked at.
        events: knows the rules.
        ecs: knows what the worker runs.
        cloudwatch: knows when they fired, and has the alarms.
        sns: knows who hears those.
        machine: this machine's clock.
        emulated: whether this is an emulator, which knows of no firing and needs no alarm.
    """
    settings, clients, stripe = installation.settings, installation.clients, installation.stripe
    queues, names = installation.queues, installation.tables
    from_table = settings.customer_source == "dynamodb"
    tables = shapes(names, customers=from_table)
    deployment = Deployment(
        clients.sqs, clients.dynamodb, settings.queue_prefix, [shape.name for shape in tables]
    )
    bucket = Bucket(
        clients.s3,
        settings.bucket,
        queues.name(Queue.FILE_PROCESSED),
        partial(watched_bucket, events, settings.queue_prefix),
    )
    rules = Schedules(
        events=events,
        queues=queues,
        settings=settings,
        bucket=bucket,
        deployment=deployment,
        grace_of_drafts=partial(grace_of_drafts, stripe),
    )
    service = Service(ecs, settings.queue_prefix)
    late = LateRows(clients.dynamodb, names.daily, installation.ledger, installation.clock)
    storage, file = settings.storage_event_name, settings.file_event_name
    customers = CustomersCheck(
        dynamodb=clients.dynamodb,
        names=names,
        stripe=stripe,
        subscriptions=StripeSubscriptions(stripe, installation.metered_prices),
        ledger=installation.ledger,
        controls=installation.controls.read,
        settings=settings,
        clock=installation.clock,
    )
    ids = (Check("customers", customers.look_at_ids),) if from_table else ()
    firings = Check(
        "schedules", partial(look_at_firings, cloudwatch, settings.queue_prefix, installation.clock)
    )
    return (
        Check("image version", partial(look_at_version, service, machine)),
        Check("worker settings", partial(look_at_worker_settings, service, settings)),
        Check(ACCOUNT, partial(look_at_account, clients.sqs, settings)),
        Check("clock, AWS", partial(look_at_aws_clock, clients.sqs, settings, machine)),
        *table_checks(clients.dynamodb, tables, deployment),
        *QueuesCheck(clients.sqs, queues, settings.queue_prefix, deployment).checks(),
        Check("bucket", bucket.look),
        Check("bucket notifications", bucket.look_at_notifications),
        *rules.checks(),
        *(() if emulated else (firings,)),
        Check(
            "alarms",
            partial(look_at_alarms, cloudwatch, sns, settings.queue_prefix, expected=not emulated),
        ),
        Check("secret", partial(look_at_secret, clients.secrets, settings)),
        Check("Stripe", partial(look_at_stripe, stripe, settings)),
        Check("Stripe key", partial(look_at_permissions, stripe)),
        Check("clock, Stripe", partial(look_at_stripe_clock, stripe, installation.clock)),
        Check(
            f"meter {storage}",
            partial(look_at_meter, stripe, storage, "SIFTBEAM_STORAGE_EVENT_NAME"),
        ),
        Check(f"meter {file}", partial(look_at_meter, stripe, file, "SIFTBEAM_FILE_EVENT_NAME")),
        *(
            Check(f"price {entry.event_name}", partial(look_at_price, stripe, entry))
            for entry in catalogue(settings, installation.prices)
        ),
        *ids,
        Check("subscriptions", customers.look_at_subscriptions),
        Check("sending", partial(look_at_sending, settings, installation.controls)),
        Check("daily rows", partial(look_at_days, installation.daily, installation.clock)),
        Check("late rows", late.look),
    )
