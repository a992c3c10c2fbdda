"""Rows of a table by their keys, a hundred a call, strongly consistent."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from worker.expressions import names_in
from worker.tables.attributes import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesTypeDef

    from worker.tables.attributes import ReadAttributes

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MOST_KEYS = 100
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0


def read_rows(
    dynamodb: DynamoDBClient,
    table: str,
    key: str,
    values: Iterable[str],
    *,
    sleep: Callable[[float], None],
    fields: str | None = None,
) -> dict[str, ReadAttributes]:
    """The rows whose ``key`` has one of the values, by that value; those that there are.

    ``fields`` is a projection expression, the key's name in it; None reads whole rows.

    What DynamoDB leaves unread, being throttled or over 16 MB, is asked for again, after a
    ``sleep`` (seconds) where a call brought nothing.

    Raises:
        botocore.exceptions.ClientError: the table cannot be read.
    """
    found: dict[str, ReadAttributes] = {}
    keys = iter(dict.fromkeys(values))
    while waiting := list(itertools.islice(keys, MOST_KEYS)):
        pause = _FIRST_PAUSE_SECONDS
        while waiting:
            asked: KeysAndAttributesTypeDef = {
                "Keys": [{key: text(each)} for each in waiting],
                "ConsistentRead": True,
            }
            if fields is not None:
                asked["ProjectionExpression"] = fields
                asked["ExpressionAttributeNames"] = names_in(fields)
            answer = dynamodb.batch_get_item(RequestItems={table: asked})
            rows = answer["Responses"].get(table, ())
            found.update((row[key]["S"], row) for row in rows)
            unread = answer.get("UnprocessedKeys", {}).get(table)
            waiting = [each[key]["S"] for each in unread["Keys"]] if unread else []
            if waiting and not rows:
                sleep(pause)
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)
    return found
