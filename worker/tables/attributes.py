"""DynamoDB's attribute values, read and written with their types checked.

Numbers are whole (bytes, counts, seconds): DynamoDB keeps 38 digits of them as text, so no
float comes near.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from worker.errors import Permanent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UniversalAttributeValueTypeDef

    ReadAttributes = Mapping[str, AttributeValueTypeDef]
    Attributes = Mapping[str, UniversalAttributeValueTypeDef]


class MalformedRow(Permanent):
    """A row lacks an attribute or holds another type; says which row and which attribute."""


def text(value: str) -> UniversalAttributeValueTypeDef:
    """A string attribute."""
    return {"S": value}


def number(value: int) -> UniversalAttributeValueTypeDef:
    """A whole-number attribute."""
    return {"N": str(value)}


class RowReader:
    """Reads one row's attributes, naming the row in every complaint.

    Args:
        row: the attributes as boto3's client gives them.
        name: how complaints name the row: its table and its key.
    """

    def __init__(self, row: ReadAttributes, name: str) -> None:
        self._row = row
        self._name = name

    def text(self, attribute: str) -> str:
        """A string that must be there.

        Raises:
            MalformedRow: it is missing or no string.
        """
        value = self.text_or_none(attribute)
        if value is None:
            raise MalformedRow(f"{self._name} has no {attribute}; mend the row, then replay")
        return value

    def text_or_none(self, attribute: str) -> str | None:
        """A string, or None where the attribute is missing or null."""
        value = self._row.get(attribute)
        if value is None or "NULL" in value:
            return None
        if "S" not in value:
            raise MalformedRow(f"{self._name}: {attribute} is no string; mend the row, then replay")
        return value["S"]

    def number(self, attribute: str) -> int:
        """A whole number that must be there.

        Raises:
            MalformedRow: it is missing, no number, or has a fraction.
        """
        value = self.number_or_none(attribute)
        if value is None:
            raise MalformedRow(f"{self._name} has no {attribute}; mend the row, then replay")
        return value

    def number_or_none(self, attribute: str) -> int | None:
        """A whole number, or None where the attribute is missing or null."""
        value = self._row.get(attribute)
        if value is None or "NULL" in value:
            return None
        written = value.get("N", "")
        if written.isdecimal() and written.isascii():
            return int(written)
        try:
            exact = Decimal(written)
        except InvalidOperation:
            exact = None
        if exact is None or exact != int(exact):
            raise MalformedRow(
                f"{self._name}: {attribute} is no whole number; mend the row, then replay"
            )
        return int(exact)

    def flag(self, attribute: str) -> bool:
        """A boolean; False where it is missing."""
        return bool(self._row.get(attribute, {}).get("BOOL", False))
