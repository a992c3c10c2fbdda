"""The queues and their dead-letter queues."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from producers.messages import Job
from producers.queues import Queue
from worker.doctor.check import Check, failed, ok, warning
from worker.doctor.queue_policy import rules_shut_out
from worker.doctor.shell import as_json, aws, billing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_sqs import SQSClient

    from producers.queues import QueueDirectory
    from worker.doctor.check import Verdict
    from worker.doctor.deployment import Deployment
    from worker.doctor.shell import JsonValue

# The worker dead-letters by its own judgement, with the reason, well before.
_RECEIPTS = 20
OUTPUT_CREATED = "output-created"
_FED_BY_RULES: dict[Queue, tuple[str, ...]] = {
    Queue.SCHEDULE: tuple(Job),
    Queue.FILE_PROCESSED: (OUTPUT_CREATED,),
}
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
_AWS_KEY = "alias/aws/sqs"
_RETENTION_SECONDS = 14 * 24 * 3600
_LARGEST = 262_144
_LARGEST_DEAD = 1_048_576
_CREATE = (
    "create it anew; SQS takes a name again a minute after its queue was deleted, and a deployment "
    "does not notice what was removed by hand"
)
_HELD = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class QueuesCheck:
    """Looks at the queues.

    Args:
        sqs: the client.
        queues: names them.
        prefix: begins the names of the queues and rules.
        deployment: says what is here at all.
    """

    def __init__(
        self, sqs: SQSClient, queues: QueueDirectory, prefix: str, deployment: Deployment
    ) -> None:
        self._sqs = sqs
        self._queues = queues
        self._prefix = prefix
        self._deployment = deployment

    def checks(self) -> Iterator[Check]:
        """Two checks per queue: where its dead letters go, which it needs, and itself."""
        for queue in Queue:
            yield Check(
                f"queue {self._queues.dead_letter_name(queue)}",
                partial(self._look_at_dead_letters, queue),
            )
            yield Check(f"queue {self._queues.name(queue)}", partial(self._look_at_queue, queue))

    def _look_at_queue(self, queue: Queue) -> Iterator[Verdict]:
        name = self._queues.name(queue)
        try:
            url = self._queues.url(queue)
        except self._sqs.exceptions.QueueDoesNotExist:
            self._deployment.expect_queues()
            target = self._deployment.arn("sqs", self._queues.dead_letter_name(queue))
            wanted = {**_shape(_LARGEST), "RedrivePolicy": _redrive(target)}
            yield failed("there is no such queue", _CREATE, self._create(name, queue, wanted))
            return
        attributes = _attributes(self._sqs, url)
        yield ok(f"{_held(attributes):,} messages")
        yield from self._look_at_redrive(queue, attributes, url)
        rules = self._rules(queue, attributes["QueueArn"])
        shut_out = rules_shut_out(attributes.get("Policy", ""), rules) if rules else ()
        if shut_out:
            yield failed(
                f"its policy does not let EventBridge send for {', '.join(shut_out)}: what that "
                "sends never arrives",
                "give it the policy of infra/data.yaml, which replaces the one it has",
                _set(url, {"Policy": self._policy(queue)}),
            )
        yield from _look_at_encryption(attributes, url, fed=bool(rules))
        yield from _look_at_retention(attributes, url)

    def _look_at_dead_letters(self, queue: Queue) -> Iterator[Verdict]:
        name = self._queues.dead_letter_name(queue)
        try:
            url = self._queues.dead_letter_url(queue)
        except self._sqs.exceptions.QueueDoesNotExist:
            self._deployment.expect_queues()
            source = self._deployment.arn("sqs", self._queues.name(queue))
            wanted = {**_shape(_LARGEST_DEAD), "RedriveAllowPolicy": _redrive_allowed(source)}
            yield failed(
                "there is no such queue: what fails would be lost",
                _CREATE,
                self._create(name, queue, wanted),
            )
            return
        attributes = _attributes(self._sqs, url)
        held = _held(attributes)
        if held:
            yield warning(
                f"{held:,} dead letter{'' if held == 1 else 's'}",
                "see what failed and why, mend that, then `siftbeam-billing dlq replay`",
                billing("dlq", "list", "--queue", self._queues.name(queue)),
            )
        else:
            yield ok("no dead letters")
        yield from _look_at_retention(attributes, url)
        try:
            source_attributes = _attributes(self._sqs, self._queues.url(queue))
        except self._sqs.exceptions.QueueDoesNotExist:
            return  # the queue's own check says so
        largest = int(source_attributes["MaximumMessageSize"])
        if int(attributes["MaximumMessageSize"]) < largest:
            yield failed(
                f"it takes messages up to {int(attributes['MaximumMessageSize']):,} bytes, its "
                f"queue up to {largest:,}: a large one could not be dead-lettered",
                "let it take as large ones",
                _set(url, {"MaximumMessageSize": str(_LARGEST_DEAD)}),
            )
        source = source_attributes["QueueArn"]
        if not _takes_from(attributes.get("RedriveAllowPolicy", ""), source):
            yield failed(
                f"its redrive allow policy does not take dead letters of {self._queues.name(queue)}"
                ": SQS cannot put away what comes back forever",
                "let it take those of its queue",
                _set(url, {"RedriveAllowPolicy": _redrive_allowed(source)}),
            )

    def _look_at_redrive(
        self, queue: Queue, attributes: Mapping[str, str], url: str
    ) -> Iterator[Verdict]:
        dead_letter_name = self._queues.dead_letter_name(queue)
        target = attributes["QueueArn"].rsplit(":", 1)[0] + f":{dead_letter_name}"
        command = _set(url, {"RedrivePolicy": _redrive(target)})
        remedy = f"send its dead letters to {dead_letter_name} after {_RECEIPTS} receipts"
        written = attributes.get("RedrivePolicy")
        if not written:
            yield failed(
                "it has no redrive policy: a poisonous message would return forever",
                remedy,
                command,
            )
            return
        redrive = json.loads(written)
        if redrive.get("deadLetterTargetArn") != target:
            yield failed(
                f"its dead letters go to {redrive.get('deadLetterTargetArn')}, not to "
                f"{dead_letter_name}",
                remedy,
                command,
            )
        receipts = int(redrive.get("maxReceiveCount", 0))
        if receipts < _RECEIPTS:
            yield failed(
                f"SQS takes a message away after {receipts} receipts, before the worker has "
                f"decided and without a reason; maxReceiveCount has to be {_RECEIPTS}",
                remedy,
                command,
            )
        elif receipts > _RECEIPTS:
            yield warning(
                f"maxReceiveCount is {receipts}, expected {_RECEIPTS}",
                remedy,
                command,
            )

    def _create(self, name: str, queue: Queue, attributes: Mapping[str, str]) -> str:
        wanted = {**attributes, "Policy": self._policy(queue)}
        return aws("sqs", "create-queue", "--queue-name", name, "--attributes", as_json(wanted))

    def _rules(self, queue: Queue, beside: str) -> dict[str, str]:
        """The ARNs of the rules that send to a queue, by their names.

        Args:
            queue: the queue.
            beside: an ARN in the same account and region.
        """
        names = [self._prefix + rule for rule in _FED_BY_RULES.get(queue, ())]
        _, partition, _, region, account, _ = beside.split(":", 5)
        return {name: f"arn:{partition}:events:{region}:{account}:rule/{name}" for name in names}

    def _policy(self, queue: Queue) -> str:
        """As infra/data.yaml has it: TLS only, and from outside our own rules alone may send."""
        statements: list[JsonValue] = [
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
        beside = self._deployment.arn("sqs", self._queues.name(queue))
        arns = list(self._rules(queue, beside).values())
        if arns:
            statements.append(
                {
                    "Sid": "AllowOwnRules",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": "*",
                    "Condition": {
                        "StringEquals": {"aws:SourceAccount": self._deployment.account},
                        "ArnEquals": {"aws:SourceArn": arns},
                    },
                }
            )
        return as_json({"Version": "2012-10-17", "Statement": statements})


def _redrive(target: str) -> str:
    return as_json({"deadLetterTargetArn": target, "maxReceiveCount": _RECEIPTS})


def _shape(largest: int) -> dict[str, str]:
    return {
        "MaximumMessageSize": str(largest),
        "MessageRetentionPeriod": str(_RETENTION_SECONDS),
        "ReceiveMessageWaitTimeSeconds": "20",
        "VisibilityTimeout": "60",
        "SqsManagedSseEnabled": "true",
    }


def _takes_from(policy: str, source: str) -> bool:
    """Whether a dead-letter queue takes those of a queue; without a policy it takes any.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    """
    allowed = json.loads(policy or "{}")
    match allowed.get("redrivePermission", "allowAll"):
        case "denyAll":
            return False
        case "byQueue":
            return source in allowed.get("sourceQueueArns", ())
        case _:
            return True


def _redrive_allowed(source: str) -> str:
    return as_json({"redrivePermission": "byQueue", "sourceQueueArns": [source]})


def _look_at_encryption(attributes: Mapping[str, str], url: str, *, fed: bool) -> Iterator[Verdict]:
    """Keys of KMS: SQS's own is closed to EventBridge, and one of yours to whom you don't name."""
    key = attributes.get("KmsMasterKeyId", "")
    command = _set(url, {"KmsMasterKeyId": "", "SqsManagedSseEnabled": "true"})
    if key == _AWS_KEY and fed:
        yield failed(
            f"it is encrypted with {key}, which EventBridge may not use, nor can be allowed to: "
            "what it sends never arrives",
            "let SQS encrypt it with its own keys, as infra/data.yaml does",
            command,
        )
    elif key and key != _AWS_KEY:
        senders = "the worker's role" + (" and events.amazonaws.com" if fed else "")
        yield warning(
            f"it is encrypted with the KMS key {key}, for which the templates grant nothing",
            f"allow kms:GenerateDataKey and kms:Decrypt on it to {senders}; or let SQS encrypt the "
            "queue with its own keys, as infra/data.yaml does",
            command,
        )


def _look_at_retention(attributes: Mapping[str, str], url: str) -> Iterator[Verdict]:
    kept = int(attributes["MessageRetentionPeriod"])
    if kept != _RETENTION_SECONDS:
        yield failed(
            f"it keeps messages for {kept:,} seconds instead of 14 days",
            "let it keep them for 14 days",
            _set(url, {"MessageRetentionPeriod": str(_RETENTION_SECONDS)}),
        )


def _attributes(sqs: SQSClient, url: str) -> Mapping[str, str]:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    # botocore's types name the known attributes; these are what the service sent.
    return {str(name): value for name, value in answer["Attributes"].items()}


def _held(attributes: Mapping[str, str]) -> int:
    return sum(int(attributes.get(name, "0")) for name in _HELD)


def _set(url: str, attributes: Mapping[str, str]) -> str:
    return aws(
        "sqs", "set-queue-attributes", "--queue-url", url, "--attributes", as_json(attributes)
    )
