"""The controls: what an operator has paused, and which customers are never billed.

They are one item in the ledger's table, under a key that no fact has, so that one read tells all.
DynamoDB takes 400 KB an item, enough for some two thousand customers
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from producers.instant import epoch_seconds, from_epoch
from worker import expressions
from worker.errors import Permanent
from worker.tables.attributes import RowReader, number, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from worker.clock import Clock
    from worker.tables.attributes import ReadAttributes

_KEY = "controls"
# How long a worker believes what it read: so soon a pause takes effect everywhere.
BELIEVED = timedelta(seconds=30)


class TooManyControls(Permanent):
    """The item that holds them is full."""


class Kind(StrEnum):
    """What a control does."""

    PAUSE = "pause"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True)
class Control:
    """One decision of an operator.

    Args:
        by: who decided; empty where nobody said.
        why: the reason; empty where nobody said.
        since: when.
    """

    by: str
    why: str
    since: datetime

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.by, self.why) if part)
        return f"since {self.since:%Y-%m-%d %H:%M} UTC" + (f" ({said})" if said else "")


@dataclass(frozen=True, slots=True)
class Controls:
    """Everything that is under control now.

    Args:
        everybody: the pause of all sending, if there is one.
        paused: the paused customers.
        excluded: the customers whose new facts are skipped.
    """

    everybody: Control | None = None
    paused: Mapping[str, Control] = field(default_factory=dict)
    excluded: Mapping[str, Control] = field(default_factory=dict)

    def holds(self, kind: Kind, customer_id: str | None) -> bool:
        """Whether a control is in force for a customer by name, or (None) for everybody."""
        if customer_id is None:
            return kind is Kind.PAUSE and self.everybody is not None
        return customer_id in (self.paused if kind is Kind.PAUSE else self.excluded)

    def pause_of(self, customer_id: str) -> Control | None:
        """Why nothing is sent for a customer; None where it is."""
        return self.everybody or self.paused.get(customer_id)

    def skips(self, customer_id: str) -> str | None:
        """Why a customer's new facts are not to be billed; None where they are."""
        exclusion = self.excluded.get(customer_id)
        return None if exclusion is None else f"excluded {exclusion}"


class ControlTable:
    """Reads and writes the controls.

    Args:
        dynamodb: the client.
        table: the ledger's table.
        clock: tells how old a reading is.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str, clock: Clock) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._clock = clock
        self._last: tuple[datetime, Controls] | None = None

    def current(self) -> Controls:
        """The controls as they were at most half a minute ago."""
        now, last = self._clock.now(), self._last
        # A clock that was set back makes no reading young.
        if last is None or not timedelta(0) <= now - last[0] < BELIEVED:
            last = self._last = (now, self.read())
        return last[1]

    def read(self) -> Controls:
        """The controls as they are, by a strongly consistent read."""
        item = self._dynamodb.get_item(
            TableName=self._table, Key={"fact": text(_KEY)}, ConsistentRead=True
        ).get("Item", {})
        found: dict[Kind, dict[str, Control]] = {kind: {} for kind in Kind}
        for name, value in item.items():
            kind, _, customer = name.partition(":")
            if "M" in value and kind in set(Kind):
                found[Kind(kind)][customer] = _decode(value["M"])
        return Controls(
            everybody=found[Kind.PAUSE].pop("", None),
            paused=found[Kind.PAUSE],
            excluded=found[Kind.EXCLUDE],
        )

    def put(self, kind: Kind, customer_id: str | None, control: Control) -> None:
        """Put a control in force; ``None`` is everybody.

        Raises:
            TooManyControls: there is no room for another customer.
        """
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"fact": text(_KEY)},
                UpdateExpression=expressions.CONTROL_PUT,
                ExpressionAttributeNames={"#control": _name(kind, customer_id)},
                ExpressionAttributeValues={
                    ":control": {
                        "M": {
                            "by": text(control.by),
                            "why": text(control.why),
                            "since": number(epoch_seconds(control.since)),
                        }
                    }
                },
            )
        except ClientError as error:
            if "size" in error.response["Error"]["Message"].lower():
                raise TooManyControls(
                    "the controls hold no more customers; pause everybody, or end some controls"
                ) from None
            raise

    def end(self, kind: Kind, customer_id: str | None) -> None:
        """End a control; nothing happens where there is none."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"fact": text(_KEY)},
            UpdateExpression=expressions.CONTROL_END,
            ExpressionAttributeNames={"#control": _name(kind, customer_id)},
        )


def _name(kind: Kind, customer_id: str | None) -> str:
    return str(kind) if customer_id is None else f"{kind}:{customer_id}"


def _decode(attributes: ReadAttributes) -> Control:
    reader = RowReader(attributes, "the controls in the ledger's table")
    return Control(reader.text("by"), reader.text("why"), from_epoch(reader.number("since")))
