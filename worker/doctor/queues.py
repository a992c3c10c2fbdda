"""The queues and their dead-letter queues."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from producers.queues import Queue
from worker.doctor.check import DEPLOY, Check, failed, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_sqs import SQSClient

    from producers.queues import QueueDirectory
    from worker.doctor.check import Verdict

# The worker dead-letters by its own judgement, with the reason, well before.
_RECEIPTS = 20
_FED_BY_RULES = frozenset({Queue.SCHEDULE, Queue.FILE_PROCESSED})
_SENDERS = frozenset({"events.amazonaws.com", "s3.amazonaws.com"})
_RETENTION_SECONDS = 14 * 24 * 3600
_MISSING = f"set SIFTBEAM_QUEUE_PREFIX, or {DEPLOY}"
_HELD = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def queue_checks(sqs: SQSClient, queues: QueueDirectory) -> Iterator[Check]:
    """Two checks per queue: itself, and its dead-letter queue."""
    for queue in Queue:
        yield Check(f"queue {queues.name(queue)}", partial(_look_at_queue, sqs, queues, queue))
        yield Check(
            f"queue {queues.dead_letter_name(queue)}",
            partial(_look_at_dead_letters, sqs, queues, queue),
        )


def _look_at_queue(sqs: SQSClient, queues: QueueDirectory, queue: Queue) -> Iterator[Verdict]:
    try:
        url = queues.url(queue)
    except sqs.exceptions.QueueDoesNotExist:
        yield failed("there is no such queue", _MISSING)
        return
    attributes = _attributes(sqs, url)
    yield ok(f"{_held(attributes):,} messages")
    yield from _look_at_redrive(attributes, url, queues.dead_letter_name(queue))
    if queue in _FED_BY_RULES and not _lets_rules_send(attributes.get("Policy", "")):
        yield failed(
            "its policy does not let EventBridge send: ticks or outputs never arrive",
            f"put the queue policy of infra/data.yaml back: {DEPLOY}",
        )
    yield from _look_at_retention(attributes, url)


def _look_at_dead_letters(
    sqs: SQSClient, queues: QueueDirectory, queue: Queue
) -> Iterator[Verdict]:
    try:
        url = queues.dead_letter_url(queue)
    except sqs.exceptions.QueueDoesNotExist:
        yield failed("there is no such queue: what fails would be lost", _MISSING)
        return
    attributes = _attributes(sqs, url)
    held = _held(attributes)
    if held:
        yield warning(
            f"{held:,} dead letters",
            f"`siftbeam-billing dlq list` says what failed and why (queue {queues.name(queue)})",
        )
    else:
        yield ok("no dead letters")
    yield from _look_at_retention(attributes, url)
    try:
        source = _attributes(sqs, queues.url(queue))
    except sqs.exceptions.QueueDoesNotExist:
        return  # the queue's own check says so
    largest = int(source["MaximumMessageSize"])
    if int(attributes["MaximumMessageSize"]) < largest:
        yield failed(
            f"it takes messages up to {int(attributes['MaximumMessageSize']):,} bytes, its queue "
            f"up to {largest:,}: a large one could not be dead-lettered",
            _set(url, "MaximumMessageSize=1048576"),
        )


def _look_at_redrive(
    attributes: Mapping[str, str], url: str, dead_letter_name: str
) -> Iterator[Verdict]:
    target = attributes["QueueArn"].rsplit(":", 1)[0] + f":{dead_letter_name}"
    policy = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": _RECEIPTS})
    remedy = _set(url, f"'{json.dumps({'RedrivePolicy': policy})}'")
    written = attributes.get("RedrivePolicy")
    if not written:
        yield failed("it has no redrive policy: a poisonous message would return forever", remedy)
        return
    redrive = json.loads(written)
    if redrive.get("deadLetterTargetArn") != target:
        yield failed(
            f"its dead letters go to {redrive.get('deadLetterTargetArn')}, not to "
            f"{dead_letter_name}",
            remedy,
        )
    receipts = int(redrive.get("maxReceiveCount", 0))
    if receipts < _RECEIPTS:
        yield failed(
            f"SQS takes a message away after {receipts} receipts, before the worker has decided "
            f"and without a reason; maxReceiveCount has to be {_RECEIPTS}",
            remedy,
        )
    elif receipts > _RECEIPTS:
        yield warning(f"maxReceiveCount is {receipts}, expected {_RECEIPTS}", remedy)


def _lets_rules_send(policy: str) -> bool:
    """Whether a queue's policy allows EventBridge, or S3 itself, to send."""
    try:
        statements = json.loads(policy or "{}").get("Statement", [])
    except ValueError:
        return False
    services = [
        (statement.get("Principal") or {}).get("Service", [])
        for statement in statements
        if statement.get("Effect") == "Allow" and isinstance(statement.get("Principal"), dict)
    ]
    named = {name for each in services for name in ([each] if isinstance(each, str) else each)}
    return not named.isdisjoint(_SENDERS)


def _look_at_retention(attributes: Mapping[str, str], url: str) -> Iterator[Verdict]:
    kept = int(attributes["MessageRetentionPeriod"])
    if kept != _RETENTION_SECONDS:
        yield failed(
            f"it keeps messages for {kept:,} seconds instead of 14 days",
            _set(url, f"MessageRetentionPeriod={_RETENTION_SECONDS}"),
        )


def _attributes(sqs: SQSClient, url: str) -> Mapping[str, str]:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    # botocore's types name the known attributes; these are what the service sent.
    return {str(name): value for name, value in answer["Attributes"].items()}


def _held(attributes: Mapping[str, str]) -> int:
    return sum(int(attributes.get(name, "0")) for name in _HELD)


def _set(url: str, attributes: str) -> str:
    return f"aws sqs set-queue-attributes --queue-url {url} --attributes {attributes}"
