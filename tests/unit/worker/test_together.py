# ruff: noqa: ANN401 - the double takes whatever boto3's client takes
"""What a batch does not do is done by the ordinary call, and nothing is done twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from worker.tables.statements import update
from worker.tables.together import DynamoDBTogether

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

TIMEOUT = 30.0
LEDGER = "ledger"
DAILY = "daily"
KEYS = {LEDGER: ("fact",), DAILY: ("customerId", "date")}
IF_NEW = "attribute_not_exists(fact)"
Answer = dict[str, Any]


class Told:
    """A client that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Answer]] = []
        self.statements: Callable[[int], Answer] = lambda _: {}
        self.fails: Exception | None = None
        self.unread: Sequence[Answer] = ()
        self._lock = threading.Lock()

    def operations(self) -> list[str]:
        return sorted(name for name, _ in self.asked)

    def _note(self, name: str, asked: Answer) -> None:
        with self._lock:
            self.asked.append((name, asked))

    def get_item(self, **asked: Any) -> Answer:
        self._note("get", asked)
        return {"Item": {**asked["Key"], "alone": {"BOOL": True}}}

    def put_item(self, **asked: Any) -> Answer:
        self._note("put", asked)
        return {}

    def update_item(self, **asked: Any) -> Answer:
        self._note("update", asked)
        raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")

    def batch_get_item(self, **asked: Any) -> Answer:
        self._note("batch get", asked)
        if self.fails is not None:
            raise self.fails
        table, of = next(iter(asked["RequestItems"].items()))
        unread = [key for key in of["Keys"] if key in self.unread]
        there = [key for key in of["Keys"] if key not in unread and key["fact"]["S"] != "none"]
        return {
            "Responses": {table: there},
            "UnprocessedKeys": {table: {"Keys": unread}} if unread else {},
        }

    def batch_execute_statement(self, **asked: Any) -> Answer:
        self._note("batch", asked)
        if self.fails is not None:
            raise self.fails
        return {"Responses": [self.statements(n) for n in range(len(asked["Statements"]))]}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def together(told: Told) -> DynamoDBTogether:
    return DynamoDBTogether(cast("DynamoDBClient", told), KEYS)


def side_by_side(together: DynamoDBTogether, *works: Callable[[], object]) -> list[object]:
    """What each came to: its answer, or what it raised."""
    for _ in works:
        together.expect("queue")

    def member(work: Callable[[], object]) -> object:
        with together.member("queue"):
            try:
                return work()
            except (ClientError, ReadTimeoutError) as error:
                return error

    with ThreadPoolExecutor(len(works)) as pool:
        begun = [pool.submit(member, work) for work in works]
        return [future.result(TIMEOUT) for future in begun]


def insert(together: DynamoDBTogether, key: str) -> Callable[[], Mapping[str, object]]:
    return lambda: together.put_item(
        TableName=LEDGER, Item={"fact": {"S": key}}, ConditionExpression=IF_NEW
    )


def move(together: DynamoDBTogether, key: str) -> Callable[[], Mapping[str, object]]:
    return lambda: together.update_item(
        TableName=LEDGER,
        Key={"fact": {"S": key}},
        UpdateExpression="SET #state = :state, fence = :fence REMOVE lastError, sentAt",
        ConditionExpression="#state = :seenState AND fence = :seenFence",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={
            ":state": {"S": "sent"},
            ":fence": {"N": "3"},
            ":seenState": {"S": "sending"},
            ":seenFence": {"N": "2"},
        },
    )


def find(together: DynamoDBTogether, key: str) -> Callable[[], Mapping[str, object]]:
    return lambda: together.get_item(
        TableName=LEDGER, Key={"fact": {"S": key}}, ConsistentRead=True
    )


def test_writes_travel_as_statements_with_conditions_of_their_own(
    together: DynamoDBTogether, told: Told
) -> None:
    assert side_by_side(together, insert(together, "a"), move(together, "b")) == [{}, {}]

    assert told.operations() == ["batch"]
    sent = told.asked[0][1]["Statements"]
    assert {
        "Statement": "INSERT INTO \"ledger\" VALUE {'fact': ?}",
        "Parameters": ({"S": "a"},),
    } in sent
    assert {
        "Statement": 'UPDATE "ledger" SET "state" = ? SET "fence" = ? REMOVE "lastError" '
        'REMOVE "sentAt" WHERE "fact" = ? AND "state" = ? AND "fence" = ?',
        "Parameters": ({"S": "sent"}, {"N": "3"}, {"S": "b"}, {"S": "sending"}, {"N": "2"}),
    } in sent


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "ThrottlingError", "AccessDenied"])
def test_a_statement_that_fails_is_done_by_the_ordinary_call(
    together: DynamoDBTogether, told: Told, code: str
) -> None:
    told.statements = lambda _: {"Error": {"Code": code, "Message": "no"}}

    inserted, moved = side_by_side(together, insert(together, "a"), move(together, "b"))

    assert inserted == {}
    assert isinstance(moved, ClientError)
    assert moved.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert told.operations() == ["batch", "put", "update"]


def test_one_fails_and_the_others_are_done(together: DynamoDBTogether, told: Told) -> None:
    told.statements = lambda n: {"Error": {"Code": "DuplicateItem"}} if n == 1 else {}

    side_by_side(together, *(insert(together, key) for key in "abc"))

    assert told.operations() == ["batch", "put"]


def test_one_item_is_written_once_a_batch(together: DynamoDBTogether, told: Told) -> None:
    side_by_side(together, *(insert(together, key) for key in ("same", "same", "other")))

    assert told.operations() == ["batch", "put"]
    batch, alone = told.asked
    assert len(batch[1]["Statements"]) == 2
    assert alone[1]["Item"] == {"fact": {"S": "same"}}


def test_more_than_25_writes_are_several_batches(together: DynamoDBTogether, told: Told) -> None:
    side_by_side(together, *(insert(together, str(n)) for n in range(30)))

    assert [len(asked["Statements"]) for _, asked in told.asked] == [25, 5]


def test_a_refused_batch_is_done_singly(together: DynamoDBTogether, told: Told) -> None:
    told.fails = ClientError({"Error": {"Code": "AccessDeniedException"}}, "BatchGetItem")

    side_by_side(together, find(together, "a"), find(together, "b"))
    side_by_side(together, insert(together, "a"), insert(together, "b"))

    assert told.operations() == ["batch", "batch get", "get", "get", "put", "put"]


def test_a_batch_without_an_answer_fails_for_everyone(
    together: DynamoDBTogether, told: Told
) -> None:
    told.fails = ReadTimeoutError(endpoint_url="https://dynamodb.invalid/")

    answers = side_by_side(together, insert(together, "a"), insert(together, "b"))

    assert [type(answer) for answer in answers] == [ReadTimeoutError, ReadTimeoutError]
    assert answers[0] is not answers[1]
    assert told.operations() == ["batch"]


def test_reads_travel_together(together: DynamoDBTogether, told: Told) -> None:
    told.unread = [{"fact": {"S": "late"}}]

    answers = side_by_side(together, *(find(together, key) for key in ("a", "a", "none", "late")))

    assert answers == [
        {"Item": {"fact": {"S": "a"}}},
        {"Item": {"fact": {"S": "a"}}},
        {},
        {"Item": {"fact": {"S": "late"}, "alone": {"BOOL": True}}},
    ]
    assert told.operations() == ["batch get", "get"]


def test_a_read_that_may_be_stale_and_what_is_unconditional_go_alone(
    together: DynamoDBTogether, told: Told
) -> None:
    side_by_side(
        together,
        lambda: together.get_item(TableName=LEDGER, Key={"fact": {"S": "a"}}),
        lambda: together.get_item(TableName=LEDGER, Key={"fact": {"S": "b"}}),
        lambda: together.put_item(TableName=LEDGER, Item={"fact": {"S": "c"}}),
        lambda: together.put_item(TableName=LEDGER, Item={"fact": {"S": "d"}}),
    )

    assert told.operations() == ["get", "get", "put", "put"]


@pytest.mark.parametrize(
    "condition",
    ["attribute_not_exists(fact) AND fence = :fence", "fence = :fence", "attribute_exists(fact)"],
)
def test_a_put_that_asks_for_more_than_an_empty_place_goes_alone(
    together: DynamoDBTogether, told: Told, condition: str
) -> None:
    side_by_side(
        together,
        *(
            lambda key=key: together.put_item(
                TableName=LEDGER,
                Item={"fact": {"S": key}},
                ConditionExpression=condition,
                ExpressionAttributeValues={":fence": {"N": "1"}},
            )
            for key in "ab"
        ),
    )

    assert told.operations() == ["put", "put"]


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        ("attribute_exists(fact) AND fence = :fence", '"fence" = ?'),
        (
            "attribute_exists(#state) AND fence = :fence",
            '"state" IS NOT MISSING AND "fence" = ?',
        ),
        (
            "attribute_not_exists(fence) OR fence < :fence",
            '("fence" IS MISSING OR "fence" < ?)',
        ),
    ],
)
def test_a_condition_loses_nothing_but_that_the_item_exists(condition: str, where: str) -> None:
    names = {"#state": "state"} if "#state" in condition else {}
    statement = update(
        {
            "TableName": LEDGER,
            "Key": {"fact": {"S": "a"}},
            "UpdateExpression": "SET notes = :notes",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {":notes": {"S": "b"}, ":fence": {"N": "1"}},
        }
    )

    assert statement is not None
    assert statement.text == 'UPDATE "ledger" SET "notes" = ? WHERE "fact" = ? AND ' + where  # noqa: S608 - compared, not sent
    assert statement.parameters == ({"S": "b"}, {"S": "a"}, {"N": "1"})


@pytest.mark.parametrize("changes", ["ADD n :fence", "SET n = n + :fence", "DELETE n :fence"])
def test_what_more_an_update_may_do_goes_alone(changes: str) -> None:
    assert (
        update(
            {
                "TableName": LEDGER,
                "Key": {"fact": {"S": "a"}},
                "UpdateExpression": changes,
                "ConditionExpression": "fence = :fence",
                "ExpressionAttributeValues": {":fence": {"N": "1"}},
            }
        )
        is None
    )


def test_an_answer_that_makes_no_sense_is_no_answer_to_anyone(
    together: DynamoDBTogether, told: Told
) -> None:
    told.fails = KeyError("one of them cannot be written down")

    side_by_side(together, insert(together, "a"), insert(together, "b"))

    assert told.operations() == ["batch", "put", "put"]


def test_who_is_alone_makes_the_ordinary_calls(together: DynamoDBTogether, told: Told) -> None:
    find(together, "a")()
    with together.member("queue"):
        find(together, "a")()
        insert(together, "a")()

    assert told.operations() == ["get", "get", "put"]
