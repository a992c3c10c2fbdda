"""The alarms: whether they are there and switched on, what rings, and whether anybody hears it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.doctor.check import ok, warning
from worker.doctor.shell import aws, make

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef
    from mypy_boto3_sns import SNSClient

    from worker.doctor.check import Verdict

# As infra/observability.yaml has them.
ALARMS = (
    "DeadLetters",
    "MonthlyBillingIncomplete",
    "NoDailyRows",
    "NoWorker",
    "OldestMessageAge",
    "ReconcileDifference",
    "StripeMeterSendFailure",
)
_RINGS = "ALARM"


def look_at_alarms(
    cloudwatch: CloudWatchClient, sns: SNSClient, prefix: str, *, expected: bool
) -> Iterator[Verdict]:
    """Whether somebody would be told.

    Args:
        cloudwatch: has the alarms.
        sns: has their topic.
        prefix: begins the alarms' names.
        expected: whether there have to be any; on an emulator there need not.
    """
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNames=[prefix + name for name in ALARMS]
    )
    alarms = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
    if not alarms and not expected:
        yield ok("not checked: there are none on this emulator")
        return
    yield ok(f"{len(alarms)} alarms")
    missing = [prefix + name for name in ALARMS if prefix + name not in alarms]
    if missing:
        yield warning(
            f"there is no alarm {', '.join(missing)}",
            "deploy the observability template; what was removed by hand comes back only once its "
            "stack, which keeps nothing, was removed as well",
            make("deploy", "STACKS=observability"),
        )
    yield from _look_at_states(alarms)
    yield from _look_at_topics(sns, alarms.values())


def _look_at_states(alarms: dict[str, MetricAlarmTypeDef]) -> Iterator[Verdict]:
    muted = sorted(name for name, alarm in alarms.items() if not alarm.get("ActionsEnabled"))
    if muted:
        yield warning(
            f"switched off: {', '.join(muted)}",
            "switch on what is to ring",
            aws("cloudwatch", "enable-alarm-actions", "--alarm-names", *muted),
        )
    for name, alarm in sorted(alarms.items()):
        if alarm.get("StateValue") == _RINGS:
            yield warning(
                f"{name} rings: {alarm.get('StateReason', 'no reason given')}",
                f"its runbook says what to do: {alarm.get('AlarmDescription', 'docs/runbooks')}",
            )


def _look_at_topics(sns: SNSClient, alarms: Iterable[MetricAlarmTypeDef]) -> Iterator[Verdict]:
    """The topics that the alarms ring at; one alarm's is all alarms' in our template."""
    arns = {arn for alarm in alarms for arn in alarm.get("AlarmActions", ()) if ":sns:" in arn}
    for arn in sorted(arns):
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        if attributes.get("SubscriptionsConfirmed", "0") != "0":
            continue
        name, pending = arn.rsplit(":", 1)[-1], attributes.get("SubscriptionsPending", "0")
        yield warning(
            f"nobody hears the alarms: topic {name} has no confirmed subscription"
            + (f", {pending} wait for it" if pending != "0" else ""),
            "confirm the mail that AWS sent; or deploy the observability template with "
            "OBSERVABILITY_PARAMETERS='AlarmEmail=you@example.com', then confirm",
        )
