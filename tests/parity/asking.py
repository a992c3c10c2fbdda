"""How cases ask an engine of DynamoDB, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UniversalAttributeValueTypeDef

    from tests.parity.dynamodb_engines import DynamoDb

    Item = dict[str, UniversalAttributeValueTypeDef]

LEDGER = "billing-ledger"
FAILED = "ConditionalCheckFailedException"
INVALID = "ValidationException"


class Refusal(Exception):  # noqa: N818 - what an engine says, no error of ours
    """An engine refused a call.

    Args:
        code: DynamoDB's.
        item: what stands there, where it was asked for.
    """

    def __init__(self, code: str, item: object) -> None:
        super().__init__(code)
        self.code = code
        self.item = item


def refusal(call: Callable[[], object]) -> Refusal | None:
    """How a call is refused; None where it is not."""
    try:
        call()
    except ClientError as error:
        return Refusal(error.response["Error"]["Code"], error.response.get("Item"))
    return None


def code_of(call: Callable[[], object]) -> str | None:
    """The code under which a call is refused; None where it is not."""
    found = refusal(call)
    return None if found is None else found.code


def fact(key: str, **more: UniversalAttributeValueTypeDef) -> Item:
    """An item of the ledger's table with that key."""
    return {"fact": {"S": key}, **more}


def put(db: DynamoDb, item: Item) -> None:
    """Write an item to the ledger's table, whatever stands there."""
    db.client.put_item(TableName=db.table(LEDGER), Item=item)


def get(db: DynamoDb, key: str) -> Mapping[str, AttributeValueTypeDef] | None:
    """An item of the ledger's table."""
    answer = db.client.get_item(
        TableName=db.table(LEDGER), Key={"fact": {"S": key}}, ConsistentRead=True
    )
    return answer.get("Item")


def update(
    db: DynamoDb,
    key: str,
    expression: str,
    values: Item | None = None,
    *,
    names: dict[str, str] | None = None,
    condition: str | None = None,
    all_old: bool = False,
) -> object:
    """Update an item of the ledger's table."""
    request: dict[str, object] = {
        "TableName": db.table(LEDGER),
        "Key": {"fact": {"S": key}},
        "UpdateExpression": expression,
    }
    if values is not None:
        request["ExpressionAttributeValues"] = values
    if names is not None:
        request["ExpressionAttributeNames"] = names
    if condition is not None:
        request["ConditionExpression"] = condition
    if all_old:
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    send = cast("Callable[..., object]", db.client.update_item)
    return send(**request)


def holds(
    db: DynamoDb,
    standing: Item,
    condition: str,
    values: Item | None = None,
    names: dict[str, str] | None = None,
) -> bool:
    """Whether a condition holds for an item with those attributes."""
    put(db, fact("asked", **standing))
    # The update leaves the item as it is: nothing has this attribute.
    refused = refusal(
        lambda: update(db, "asked", "REMOVE nothing", values, names=names, condition=condition)
    )
    if refused is None:
        return True
    if refused.code == FAILED:
        return False
    raise refused


def batch(db: DynamoDb, *statements: tuple[str, Sequence[Mapping[str, object]]]) -> list[object]:
    """Run PartiQL statements in one batch; per statement its error's code or its item, or None."""
    send = cast("Callable[..., dict[str, object]]", db.client.batch_execute_statement)
    answer = send(
        Statements=[
            {
                "Statement": text,
                "Parameters": list(parameters),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
            if not text.startswith("SELECT")
            else {"Statement": text, "Parameters": list(parameters)}
            for text, parameters in statements
        ]
    )
    told = cast("list[dict[str, dict[str, object]]]", answer["Responses"])
    return [one["Error"]["Code"] if "Error" in one else one.get("Item") for one in told]
