# ruff: noqa: ANN401 - the double takes whatever boto3's client takes
"""Many updates in few calls; what a batch did not surely do is done by the ordinary call."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from worker.tables.daily import BillingStatus, DailyTable, Mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

Answer = dict[str, Any]
MARK = Mark(BillingStatus.BILLED, 3)
FIRST = date(2026, 10, 1)


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "DynamoDB")


class Told:
    """A client that answers as it is told, and remembers the days it was asked to mark."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.alone: list[str] = []
        self.statement: Callable[[str], Answer] = lambda _: {}
        self.batch_fails: Exception | None = None
        self.alone_fails: ClientError | None = None

    def batch_execute_statement(self, **asked: Any) -> Answer:
        days = [
            next(value["S"] for value in statement["Parameters"] if "-" in value.get("S", ""))
            for statement in asked["Statements"]
        ]
        self.batches.append(days)
        if self.batch_fails is not None:
            raise self.batch_fails
        return {"Responses": [self.statement(day) for day in days]}

    def update_item(self, **asked: Any) -> Answer:
        self.alone.append(asked["Key"]["date"]["S"])
        if self.alone_fails is not None:
            raise self.alone_fails
        return {}


@pytest.fixture
def told() -> Told:
    return Told()


def mark(told: Told, days: int) -> list[str]:
    """Mark the first days of October; their names."""
    wanted = [FIRST + timedelta(days=number) for number in range(days)]
    table = DailyTable(cast("DynamoDBClient", told), "daily")
    table.mark("cus_A", wanted, MARK)
    return [str(day) for day in wanted]


def test_a_month_takes_two_calls(told: Told) -> None:
    days = mark(told, 31)

    assert told.batches == [days[:25], days[25:]]
    assert told.alone == []


def test_one_row_takes_the_ordinary_call_and_none_takes_none(told: Told) -> None:
    mark(told, 0)
    days = mark(told, 1)

    assert (told.batches, told.alone) == ([], days)


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "ThrottlingError", "AccessDenied"])
def test_a_statement_that_failed_is_done_alone(told: Told, code: str) -> None:
    told.statement = lambda day: {"Error": {"Code": code}} if day == "2026-10-02" else {}

    mark(told, 3)

    assert told.alone == ["2026-10-02"]


def test_a_row_that_followed_further_is_passed_over(told: Told) -> None:
    told.statement = lambda _: {"Error": {"Code": "ConditionalCheckFailed"}}
    told.alone_fails = refusal("ConditionalCheckFailedException")

    days = mark(told, 2)

    assert told.alone == days


def test_a_refused_batch_is_done_singly(told: Told) -> None:
    told.batch_fails = refusal("ValidationException")

    assert mark(told, 26) == told.alone


def test_a_batch_that_was_not_answered_and_a_row_that_is_refused_are_told(told: Told) -> None:
    told.batch_fails = ReadTimeoutError(endpoint_url="https://dynamodb.invalid/")
    with pytest.raises(ReadTimeoutError):
        mark(told, 2)
    assert told.alone == []

    told.batch_fails, told.alone_fails = refusal("InternalServerError"), refusal("AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        mark(told, 2)
