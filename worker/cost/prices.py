"""The price table: AWS in ap-northeast-1, in US dollars without taxes, and what is always free.

Every price is AWS's list price on demand, as of :data:`AS_OF`; the pages that say so are named.
What is free here is free without an end. What a new account gets for a year is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

AS_OF = date(2026, 9, 23)
REGION = "ap-northeast-1"


class Unit(StrEnum):
    """What is paid for."""

    VCPU_HOUR = "vCPU-hours"
    GB_HOUR = "GB-hours"
    ADDRESS_HOUR = "address-hours"
    REQUEST = "requests"
    WRITE_UNIT = "write units"
    READ_UNIT = "read units"
    GB_MONTH = "GB-months"
    GB = "GB"
    EVENT = "events"
    ALARM_METRIC = "alarm metrics"
    METRIC = "metrics"
    DASHBOARD = "dashboards"
    SECRET = "secrets"  # noqa: S105 - a unit
    TRANSITION = "transitions"
    EMAIL = "mails"


@dataclass(frozen=True, slots=True)
class Price:
    """One line of the price table.

    Args:
        item: what it is called on our bill.
        unit: what is counted.
        dollars: for one unit.
        free: units a month that cost nothing, for every account and without an end.
        page: where AWS says so.
    """

    item: str
    unit: Unit
    dollars: Decimal
    page: str
    free: Decimal = Decimal(0)


_M = Decimal(1_000_000)
_AWS = "https://aws.amazon.com/"

FARGATE_VCPU = Price(
    "Fargate ARM64, vCPU", Unit.VCPU_HOUR, Decimal("0.04045"), _AWS + "fargate/pricing/"
)
FARGATE_MEMORY = Price(
    "Fargate ARM64, memory", Unit.GB_HOUR, Decimal("0.00442"), _AWS + "fargate/pricing/"
)
PUBLIC_ADDRESS = Price(
    "public IPv4 address", Unit.ADDRESS_HOUR, Decimal("0.005"), _AWS + "vpc/pricing/"
)
SQS = Price("SQS", Unit.REQUEST, Decimal("0.40") / _M, _AWS + "sqs/pricing/", free=_M)
WRITES = Price(
    "DynamoDB writes, with index copies",
    Unit.WRITE_UNIT,
    Decimal("0.715") / _M,
    _AWS + "dynamodb/pricing/on-demand/",
)
READS = Price(
    "DynamoDB reads",
    Unit.READ_UNIT,
    Decimal("0.1425") / _M,
    _AWS + "dynamodb/pricing/on-demand/",
)
TABLE_STORAGE = Price(
    "DynamoDB storage, with index copies",
    Unit.GB_MONTH,
    Decimal("0.285"),
    _AWS + "dynamodb/pricing/on-demand/",
    free=Decimal(25),
)
BACKUPS = Price(
    "DynamoDB point-in-time recovery",
    Unit.GB_MONTH,
    Decimal("0.228"),
    _AWS + "dynamodb/pricing/on-demand/",
)
LISTS = Price("S3 listings", Unit.REQUEST, Decimal("0.0047") / 1000, _AWS + "s3/pricing/")
S3_EVENTS = Price(
    "S3 events through EventBridge",
    Unit.EVENT,
    Decimal("1.00") / _M,
    _AWS + "eventbridge/pricing/",
)
LOGS = Price("logs, taken in", Unit.GB, Decimal("0.76"), _AWS + "cloudwatch/pricing/", Decimal(5))
LOG_STORAGE = Price(
    "logs, kept", Unit.GB_MONTH, Decimal("0.033"), _AWS + "cloudwatch/pricing/", Decimal(5)
)
ALARMS = Price(
    "alarms", Unit.ALARM_METRIC, Decimal("0.10"), _AWS + "cloudwatch/pricing/", Decimal(10)
)
METRICS = Price(
    "custom metrics", Unit.METRIC, Decimal("0.30"), _AWS + "cloudwatch/pricing/", Decimal(10)
)
DASHBOARDS = Price(
    "dashboard", Unit.DASHBOARD, Decimal("3.00"), _AWS + "cloudwatch/pricing/", Decimal(3)
)
SECRET = Price("secret", Unit.SECRET, Decimal("0.40"), _AWS + "secrets-manager/pricing/")
SECRET_READS = Price(
    "secret, reads",
    Unit.REQUEST,
    Decimal("0.05") / 10_000,
    _AWS + "secrets-manager/pricing/",
)
KEYS = Price(
    "KMS, AWS managed keys",
    Unit.REQUEST,
    Decimal("0.03") / 10_000,
    _AWS + "kms/pricing/",
    free=Decimal(20_000),
)
IMAGES = Price("image repository", Unit.GB_MONTH, Decimal("0.10"), _AWS + "ecr/pricing/")
TRANSFER_OUT = Price(
    "traffic to Stripe",
    Unit.GB,
    Decimal("0.114"),
    _AWS + "ec2/pricing/on-demand/#Data_Transfer",
    free=Decimal(100),
)
MAILS = Price(
    "alarm mails",
    Unit.EMAIL,
    Decimal("2.00") / 100_000,
    _AWS + "sns/pricing/",
    free=Decimal(1000),
)
TRANSITIONS = Price(
    "Step Functions",
    Unit.TRANSITION,
    Decimal("0.025") / 1000,
    _AWS + "step-functions/pricing/",
    free=Decimal(4000),
)
