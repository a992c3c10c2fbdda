"""All checks: the one list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from producers.queues import Queue
from worker.doctor.account import look_at_account
from worker.doctor.bucket import Bucket
from worker.doctor.check import Check
from worker.doctor.late_rows import LateRows
from worker.doctor.meters import look_at_meter
from worker.doctor.queues import queue_checks
from worker.doctor.schedules import Schedules
from worker.doctor.secret import look_at_secret, look_at_stripe
from worker.doctor.sending import look_at_sending
from worker.doctor.tables import table_checks

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

    from worker.installation import Installation


def every_check(installation: Installation, events: EventBridgeClient) -> tuple[Check, ...]:
    """What the doctor looks at, in the order in which it is told."""
    settings, clients, stripe = installation.settings, installation.clients, installation.stripe
    queues, names = installation.queues, installation.tables
    bucket = Bucket(clients.s3, settings.bucket, queues.name(Queue.FILE_PROCESSED))
    rules = Schedules(events, queues, settings, told_directly=bucket.notifies_queue)
    late = LateRows(clients.dynamodb, names.daily, installation.ledger, installation.clock)
    storage, file = settings.storage_event_name, settings.file_event_name
    from_table = settings.customer_source == "dynamodb"
    return (
        Check("AWS account", partial(look_at_account, clients.sqs, settings)),
        *table_checks(clients.dynamodb, names, customers=from_table),
        *queue_checks(clients.sqs, queues),
        Check("bucket", bucket.look),
        Check("bucket notifications", bucket.look_at_notifications),
        *rules.checks(),
        Check("secret", partial(look_at_secret, clients.secrets, settings)),
        Check("Stripe", partial(look_at_stripe, stripe)),
        Check(
            f"meter {storage}",
            partial(look_at_meter, stripe, storage, "SIFTBEAM_STORAGE_EVENT_NAME"),
        ),
        Check(f"meter {file}", partial(look_at_meter, stripe, file, "SIFTBEAM_FILE_EVENT_NAME")),
        Check("sending", partial(look_at_sending, settings, installation.controls)),
        Check("late rows", late.look),
    )
