"""Items taken as they come are those that botocore would have read."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from worker.tables.plain_items import take_items_as_they_come

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

PLAIN = {
    "a": {"S": 'text with é, " and \u2028'},
    "b": {"N": "12345678901234567890123456789012345678"},
    "c": {"BOOL": False},
    "d": {"NULL": True},
    "e": {"SS": ["x", "y"]},
    "f": {"NS": ["1", "2"]},
}
NESTED = {"g": {"L": [{"N": "1"}, {"M": {"h": {"S": "B"}}}]}, "i": {"M": {}}, "j": {"L": []}}
BINARY = {"k": {"B": "AAEC"}, "l": {"BS": ["AAEC"]}, "m": {"L": [{"M": {"n": {"B": "AAEC"}}}]}}


def response(answer: bytes, status: int, more: dict[str, str] | None = None) -> AWSResponse:
    class Raw:
        def stream(self, **_: object) -> Any:  # noqa: ANN401 - as urllib3's response
            yield answer

    headers = {"x-amzn-RequestId": "1", "Content-Type": "application/x-amz-json-1.0"} | (more or {})
    return AWSResponse("https://nowhere", status, headers, Raw())  # type: ignore[arg-type] # as one


def client(
    answer: bytes,
    status: int,
    respond: Callable[..., AWSResponse] | None = None,
    *,
    attempts: int = 1,
) -> DynamoDBClient:
    """A client that is given one answer, whatever it asks, or what ``respond`` gives."""
    made: DynamoDBClient = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )
    # Its stubs know no handler that answers.
    answers: Any = respond or (lambda **_: response(answer, status))
    made.meta.events.register("before-send.dynamodb.*", answers)
    return made


def ask(dynamodb: DynamoDBClient, operation: str) -> object:
    if operation == "Query":
        return dynamodb.query(TableName="t")
    if operation == "Scan":
        return dynamodb.scan(TableName="t")
    if operation == "GetItem":
        return dynamodb.get_item(TableName="t", Key={"a": {"S": "x"}})
    return dynamodb.batch_get_item(RequestItems={"t": {"Keys": [{"a": {"S": "x"}}]}})


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("Query", {"Items": [PLAIN, PLAIN | NESTED, {}], "Count": 3, "ScannedCount": 7}),
        ("Query", {"Items": [PLAIN, BINARY], "Count": 2}),
        ("Query", {"Items": [], "Count": 0, "LastEvaluatedKey": PLAIN}),
        ("Query", {"Items": [PLAIN], "LastEvaluatedKey": {"k": {"B": "AAEC"}}}),
        ("Query", {"Count": 3}),
        ("Scan", {"Items": [PLAIN], "ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}}),
        ("GetItem", {"Item": PLAIN}),
        (
            "BatchGetItem",
            {
                "Responses": {"t": [PLAIN, NESTED], "u": []},
                "UnprocessedKeys": {"t": {"Keys": [{"a": {"S": "x"}}], "ConsistentRead": True}},
            },
        ),
        ("BatchGetItem", {"Responses": {"t": [BINARY]}, "UnprocessedKeys": {}}),
        ("BatchGetItem", {"Responses": {}}),
    ],
)
def test_answers_are_those_of_botocore(operation: str, answer: dict[str, object]) -> None:
    body = json.dumps(answer).encode()
    theirs, ours = client(body, 200), client(body, 200)
    take_items_as_they_come(ours)
    take_items_as_they_come(ours)

    assert ask(ours, operation) == ask(theirs, operation)


@pytest.mark.parametrize(("status", "body"), [(400, b'{"__type": "x#Odd"}'), (500, b"<html>")])
def test_errors_are_those_of_botocore(status: int, body: bytes) -> None:
    said = []
    for plain in (True, False):
        dynamodb = client(body, status)
        if plain:
            take_items_as_they_come(dynamodb)
        with pytest.raises(ClientError) as raised:
            dynamodb.query(TableName="t")
        said.append(raised.value.response)

    assert said[0] == said[1]


@pytest.mark.parametrize("damage", [b"", b'{"Items": [', b'{"Items": [], "Count": 1}'])
def test_a_damaged_page_is_asked_for_again(damage: bytes) -> None:
    whole = json.dumps({"Items": [PLAIN], "Count": 1}).encode()
    given = iter([damage, whole])

    def respond(**_: object) -> AWSResponse:
        return response(next(given), 200, {"x-amz-crc32": str(zlib.crc32(whole))})

    dynamodb = client(b"", 200, respond, attempts=2)
    take_items_as_they_come(dynamodb)

    assert dynamodb.query(TableName="t")["Items"] == [PLAIN]


def test_it_is_the_items_of_the_wire_that_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event is there, and spares the parser the items: without it this would only be slow."""
    dynamodb = client(json.dumps({"Items": [PLAIN] * 3}).encode(), 200)
    take_items_as_they_come(dynamodb)
    parsed: list[object] = []
    monkeypatch.setattr(
        "botocore.parsers.BaseJSONParser._handle_map",
        lambda _self, _shape, value: parsed.append(value),
    )

    assert len(dynamodb.query(TableName="t")["Items"]) == 3
    assert parsed == []
