"""The rules that send ticks and outputs, and the monthly one against Stripe's grace period."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from producers.messages import Job
from producers.queues import Queue
from worker.doctor.check import Check, failed, ok, warning
from worker.doctor.cron import first_of_month
from worker.doctor.queues import OUTPUT_CREATED
from worker.doctor.shell import as_json, aws, setting
from worker.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import DescribeRuleResponseTypeDef

    from producers.queues import QueueDirectory
    from worker.doctor.bucket import Bucket
    from worker.doctor.check import Verdict
    from worker.doctor.deployment import Deployment
    from worker.doctor.shell import JsonValue
    from worker.settings import Settings

_CREATE = "create it anew; a deployment does not notice what was removed by hand"
# As infra/data.yaml has them.
_EXPRESSIONS = {
    Job.DAILY: "cron(0 1 * * ? *)",
    Job.MONTHLY: "cron(0 2 1 * ? *)",
    Job.RESOLVE: "cron(15 * * * ? *)",
    Job.RECONCILE: "cron(0 6 * * ? *)",
    Job.SWEEP: "cron(30 3 * * ? *)",
}
_EARLY = "cron(5 0 1 * ? *)"
_RETRY = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


class Schedules:
    """Looks at the rules.

    Args:
        events: the client.
        queues: names the queues that the rules send to.
        settings: prefix, bucket, grace period and timestamp.
        bucket: says whether S3 tells our queue of outputs without EventBridge.
        deployment: says what is here at all.
        grace_of_drafts: how long Stripe's draft invoices stay drafts; None where there are none.
    """

    def __init__(
        self,
        *,
        events: EventBridgeClient,
        queues: QueueDirectory,
        settings: Settings,
        bucket: Bucket,
        deployment: Deployment,
        grace_of_drafts: Callable[[], timedelta | None],
    ) -> None:
        self._events = events
        self._queues = queues
        self._settings = settings
        self._bucket = bucket
        self._deployment = deployment
        self._grace_of_drafts = grace_of_drafts

    def checks(self) -> Iterator[Check]:
        """A check per rule."""
        for job in Job:
            yield Check(f"rule {self._name(job)}", partial(self._look_at_tick, job))
        yield Check(f"rule {self._name(OUTPUT_CREATED)}", self._look_at_output_rule)

    def _look_at_tick(self, job: Job) -> Iterator[Verdict]:
        rule = self._rule(job)
        if rule is None:
            yield failed(
                "there is no such rule: its tick never comes",
                _CREATE,
                self._put(job, "--schedule-expression", _EXPRESSIONS[job]),
                self._aim(job, Queue.SCHEDULE),
            )
            return
        expression = rule.get("ScheduleExpression", "")
        yield ok(expression)
        yield from self._look_at_state(rule, job, Queue.SCHEDULE)
        if job is Job.MONTHLY and self._settings.event_timestamp == "month_end":
            yield from self._look_at_grace(expression)

    def _look_at_grace(self, expression: str) -> Iterator[Verdict]:
        """By the drafts where there are any: the setting is only what somebody said."""
        said = self._settings.stripe_grace_hours
        try:
            seen = self._grace_of_drafts()
        except BillingError:
            seen = None  # another check says why Stripe cannot be asked
        # A draft may be made some minutes after its period's end.
        hours = said if seen is None else round(seen / timedelta(hours=1))
        if hours != said:
            yield failed(
                f"Stripe's draft invoices become final {hours} h after their period, and "
                f"SIFTBEAM_STRIPE_GRACE_HOURS says {said}",
                f"say {hours}, here and as StripeGraceHours of the compute template; or set the "
                f"grace period in Stripe (Settings, Billing, Invoices) to {said} hours",
                setting("STRIPE_GRACE_HOURS", hours),
            )
        yield from judge_grace(
            expression, hours, self._put(Job.MONTHLY, "--schedule-expression", _EARLY)
        )

    def _look_at_output_rule(self) -> Iterator[Verdict]:
        self._bucket.expect()
        if self._bucket.notifies_queue():
            yield ok("not needed: the bucket notifies the queue itself")
            return
        rule = self._rule(OUTPUT_CREATED)
        put = self._put(OUTPUT_CREATED, "--event-pattern", as_json(self._pattern()))
        if rule is None:
            aim = self._aim(OUTPUT_CREATED, Queue.FILE_PROCESSED)
            yield failed("there is no such rule: no output is noticed", _CREATE, put, aim)
            return
        yield ok(f"{self._settings.bucket}/{self._settings.output_prefix}")
        yield from self._look_at_state(rule, OUTPUT_CREATED, Queue.FILE_PROCESSED)
        if not matches(rule.get("EventPattern", ""), self._settings):
            yield failed(
                f"its pattern does not cover {self._settings.output_prefix} of bucket "
                f"{self._settings.bucket}",
                "let it cover that, and deploy the data template with the BucketName and "
                "OutputPrefix that SIFTBEAM_BUCKET and SIFTBEAM_OUTPUT_PREFIX name",
                put,
            )

    def _look_at_state(
        self, rule: DescribeRuleResponseTypeDef, what: str, queue: Queue
    ) -> Iterator[Verdict]:
        if rule.get("State") == "DISABLED":
            yield failed(
                "the rule is disabled",
                "enable it; the data template's SchedulesState says what the next deployment makes "
                "of it",
                aws("events", "enable-rule", "--name", self._name(what)),
            )
        target = f":{self._queues.name(queue)}"
        pages = self._events.get_paginator("list_targets_by_rule").paginate(Rule=self._name(what))
        targets = [each for page in pages for each in page["Targets"]]
        ours = [entry for entry in targets if entry["Arn"].endswith(target)]
        if ours and not any(entry.get("DeadLetterConfig") for entry in ours):
            yield warning(
                "its target has no dead-letter queue: what EventBridge cannot deliver is lost",
                "give it one",
                self._aim(what, queue),
            )
        if not ours:
            yield failed(
                f"the rule does not send to {self._queues.name(queue)}",
                "let it send there",
                self._aim(what, queue),
            )

    def _rule(self, what: str) -> DescribeRuleResponseTypeDef | None:
        try:
            return self._events.describe_rule(Name=self._name(what))
        except self._events.exceptions.ResourceNotFoundException:
            self._deployment.expect_queues()
            return None

    def _name(self, what: str) -> str:
        return self._settings.queue_prefix + what

    def _put(self, what: str, *when: str) -> str:
        return aws("events", "put-rule", "--name", self._name(what), *when, "--state", "ENABLED")

    def _aim(self, what: str, queue: Queue) -> str:
        """The target, as infra/data.yaml has it."""
        target: dict[str, JsonValue] = {
            "Id": str(queue),
            "Arn": self._deployment.arn("sqs", self._queues.name(queue)),
            "DeadLetterConfig": {
                "Arn": self._deployment.arn("sqs", self._queues.dead_letter_name(queue))
            },
            "RetryPolicy": _RETRY,
        }
        if what != OUTPUT_CREATED:
            target["InputTransformer"] = {
                "InputPathsMap": {"time": "$.time"},
                "InputTemplate": (
                    f'{{"kind":"tick","version":1,"job":"{what}","scheduledTime":<time>}}'
                ),
            }
        targets = as_json([target])
        return aws("events", "put-targets", "--rule", self._name(what), "--targets", targets)

    def _pattern(self) -> JsonValue:
        return {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [self._settings.bucket]},
                "object": {"key": [{"prefix": self._settings.output_prefix}]},
            },
        }


def judge_grace(expression: str, grace_hours: int, earlier: str) -> Iterator[Verdict]:
    """Whether the monthly tick comes while the month's invoices are still drafts.

    Usage that arrives later appears on no invoice:
    https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period

    Args:
        expression: the rule's schedule.
        grace_hours: how long invoices stay drafts.
        earlier: the command that lets the tick come earlier.
    """
    after = first_of_month(expression)
    if after is None:
        yield warning(
            f"cannot tell when {expression!r} comes after a month's end",
            f"use an expression such as {_EARLY} for MonthlySchedule",
        )
    elif after >= timedelta(hours=grace_hours):
        yield failed(
            f"{expression} comes {_clock(after)} after the month's end, but Stripe finalizes its "
            f"invoices after {grace_hours} h: the month's storage would appear on no invoice",
            "set the invoice grace period to 72 hours in Stripe (Settings, Billing, Invoices) and "
            "SIFTBEAM_STRIPE_GRACE_HOURS=72; or let the tick come earlier, and deploy the data "
            f"template with MonthlySchedule='{_EARLY}'",
            earlier,
        )


def watched_bucket(events: EventBridgeClient, queue_prefix: str) -> str | None:
    """The bucket that the rule for new outputs watches; None where that cannot be told."""
    try:
        pattern = events.describe_rule(Name=queue_prefix + OUTPUT_CREATED).get("EventPattern", "")
        name: object = json.loads(pattern)["detail"]["bucket"]["name"][0]
    except (ClientError, ValueError, LookupError, TypeError):
        return None
    return name if isinstance(name, str) else None


def matches(pattern: str, settings: Settings) -> bool:
    """Whether an event pattern covers the bucket and all of the output prefix."""
    try:
        detail = json.loads(pattern)["detail"]
        buckets, keys = detail["bucket"]["name"], detail["object"]["key"]
        prefixes = [key["prefix"] for key in keys if "prefix" in key]
    except (ValueError, KeyError, TypeError):
        return False
    return settings.bucket in buckets and any(
        settings.output_prefix.startswith(prefix) for prefix in prefixes
    )


def _clock(after: timedelta) -> str:
    minutes = after // timedelta(minutes=1)
    return f"{minutes // 60} h {minutes % 60:02d} min"
