"""The rules that send ticks and outputs, and the monthly one against Stripe's grace period."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from producers.messages import Job
from producers.queues import Queue
from worker.doctor.check import DEPLOY, Check, failed, ok, warning
from worker.doctor.cron import first_of_month
from worker.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import DescribeRuleResponseTypeDef

    from producers.queues import QueueDirectory
    from worker.doctor.check import Verdict
    from worker.settings import Settings

_MISSING = f"set SIFTBEAM_QUEUE_PREFIX, or {DEPLOY}"
_OUTPUT_CREATED = "output-created"


class Schedules:
    """Looks at the rules.

    Args:
        events: the client.
        queues: names the queues that the rules send to.
        settings: prefix, bucket, grace period and timestamp.
        told_directly: whether S3 tells our queue of outputs without EventBridge.
        grace_of_drafts: how long Stripe's draft invoices stay drafts; None where there are none.
    """

    def __init__(
        self,
        events: EventBridgeClient,
        queues: QueueDirectory,
        settings: Settings,
        told_directly: Callable[[], bool],
        grace_of_drafts: Callable[[], timedelta | None],
    ) -> None:
        self._events = events
        self._queues = queues
        self._settings = settings
        self._told_directly = told_directly
        self._grace_of_drafts = grace_of_drafts

    def checks(self) -> Iterator[Check]:
        """A check per rule."""
        for job in Job:
            name = self._settings.queue_prefix + job
            yield Check(f"rule {name}", partial(self._look_at_tick, name, job))
        yield Check(
            f"rule {self._settings.queue_prefix}{_OUTPUT_CREATED}", self._look_at_output_rule
        )

    def _look_at_tick(self, name: str, job: Job) -> Iterator[Verdict]:
        rule = self._rule(name)
        if rule is None:
            yield failed("there is no such rule: its tick never comes", _MISSING)
            return
        expression = rule.get("ScheduleExpression", "")
        yield ok(expression)
        yield from self._look_at_state(rule, name, Queue.SCHEDULE)
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
                f"set SIFTBEAM_STRIPE_GRACE_HOURS={hours}, or the grace period in Stripe "
                f"(Settings, Billing, Invoices) to {said} hours",
            )
        yield from judge_grace(expression, hours)

    def _look_at_output_rule(self) -> Iterator[Verdict]:
        name = self._settings.queue_prefix + _OUTPUT_CREATED
        if self._told_directly():
            yield ok("not needed: the bucket notifies the queue itself")
            return
        rule = self._rule(name)
        if rule is None:
            yield failed("there is no such rule: no output is noticed", _MISSING)
            return
        yield ok(f"{self._settings.bucket}/{self._settings.output_prefix}")
        yield from self._look_at_state(rule, name, Queue.FILE_PROCESSED)
        if not matches(rule.get("EventPattern", ""), self._settings):
            yield failed(
                f"its pattern does not cover {self._settings.output_prefix} of bucket "
                f"{self._settings.bucket}",
                "deploy the data template with the BucketName and OutputPrefix that "
                "SIFTBEAM_BUCKET and SIFTBEAM_OUTPUT_PREFIX name",
            )

    def _look_at_state(
        self, rule: DescribeRuleResponseTypeDef, name: str, queue: Queue
    ) -> Iterator[Verdict]:
        if rule.get("State") == "DISABLED":
            yield failed("the rule is disabled", f"aws events enable-rule --name {name}")
        target = f":{self._queues.name(queue)}"
        targets = self._events.list_targets_by_rule(Rule=name)["Targets"]
        if not any(entry["Arn"].endswith(target) for entry in targets):
            yield failed(
                f"the rule does not send to {self._queues.name(queue)}",
                "remove the rule, then " + DEPLOY,
            )

    def _rule(self, name: str) -> DescribeRuleResponseTypeDef | None:
        try:
            return self._events.describe_rule(Name=name)
        except self._events.exceptions.ResourceNotFoundException:
            return None


def judge_grace(expression: str, grace_hours: int) -> Iterator[Verdict]:
    """Whether the monthly tick comes while the month's invoices are still drafts.

    Usage that arrives later appears on no invoice:
    https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period
    """
    after = first_of_month(expression)
    if after is None:
        yield warning(
            f"cannot tell when {expression!r} comes after a month's end",
            "use an expression such as cron(5 0 1 * ? *) for MonthlySchedule",
        )
    elif after >= timedelta(hours=grace_hours):
        yield failed(
            f"{expression} comes {_clock(after)} after the month's end, but Stripe finalizes its "
            f"invoices after {grace_hours} h: the month's storage would appear on no invoice",
            "set the invoice grace period to 72 hours in Stripe (Settings, Billing, Invoices) and "
            "SIFTBEAM_STRIPE_GRACE_HOURS=72; or deploy the data template with "
            "MonthlySchedule='cron(5 0 1 * ? *)'",
        )


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
