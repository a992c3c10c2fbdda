"""DynamoDB's items, taken as they come.

An attribute is written ``{"S": "…"}`` on the wire and in botocore's answer alike, and yet botocore
takes every one apart and puts it together again: two thirds of the time that reading a month of ten
thousand customers takes. Only binary values differ (base64 on the wire, bytes in the answer), so a
page without any is handed on whole, by the event that botocore has for this.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from mypy_boto3_dynamodb import DynamoDBClient

_READS = {"Query": "Items", "Scan": "Items", "BatchGetItem": "Responses"}
_OK = 200
# What may be a binary value, or is a text that looks like one: botocore reads it then.
_BINARY = (b'"B"', b'"BS"')


def take_items_as_they_come(dynamodb: DynamoDBClient) -> None:
    """Let a client hand on the items it reads many of at once; saying so again changes nothing."""
    for operation, field in _READS.items():
        dynamodb.meta.events.register(
            f"before-parse.dynamodb.{operation}",
            _TakeWhole(field),
            unique_id=f"items-as-they-come-{operation}",
        )


class _TakeWhole:
    """Takes one field of an answer from under the parser's hands.

    Args:
        field: where the items are.
    """

    def __init__(self, field: str) -> None:
        self._field = field

    def __call__(
        self,
        response_dict: MutableMapping[str, object],
        customized_response_dict: MutableMapping[str, object],
        **_: object,
    ) -> None:
        body = response_dict["body"]
        if response_dict["status_code"] != _OK or not isinstance(body, bytes):
            return
        if any(mark in body for mark in _BINARY):
            return
        try:
            answer = json.loads(body)
        except ValueError:
            # Damaged: the checksum tells botocore, which asks again.
            return
        if isinstance(answer, dict) and self._field in answer:
            customized_response_dict[self._field] = answer.pop(self._field)
            response_dict["body"] = json.dumps(answer).encode()
