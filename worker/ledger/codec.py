"""A ledger item as DynamoDB keeps it. Instants are whole epoch seconds, UTC."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from producers.instant import epoch_seconds, from_epoch
from worker.ledger.fact import Correction, Fact, FactKind, StorageBasis, StripeAccount
from worker.ledger.item import LedgerItem, State
from worker.tables.attributes import RowReader, number, text

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb.type_defs import UniversalAttributeValueTypeDef

    from worker.tables.attributes import ReadAttributes

# Enough for 8,000 writes a second to the index of open items, at DynamoDB's 1,000 a partition
# (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html).
OPEN_SHARDS = tuple(str(shard) for shard in range(8))


def customer_event(customer_id: str, kind: FactKind) -> str:
    """The index key of all of a customer's facts of one kind."""
    return f"{customer_id}#{kind}"


def encode_item(item: LedgerItem) -> dict[str, UniversalAttributeValueTypeDef]:
    """Every attribute of an item that is written for the first time."""
    fact = item.fact
    attributes: dict[str, UniversalAttributeValueTypeDef] = {
        "fact": text(fact.key),
        "kind": text(fact.kind),
        "customerId": text(fact.customer_id),
        "customerEvent": text(customer_event(fact.customer_id, fact.kind)),
        "subject": text(fact.subject),
        "eventName": text(fact.event_name),
        "value": number(fact.value),
        "timestamp": number(epoch_seconds(fact.stamped_at)),
        "livemode": {"BOOL": fact.account.livemode},
        "origin": text(fact.origin),
        "state": text(item.state),
        "generation": number(item.generation),
        "identifier": text(item.identifier),
        "fence": number(item.fence),
        "attempts": number(item.attempts),
        "retries": number(item.retries),
        "createdAt": number(epoch_seconds(item.created_at)),
    }
    if fact.account.id is not None:
        attributes["account"] = text(fact.account.id)
    if fact.basis is not None:
        attributes["days"] = {"L": [number(day) for day in fact.basis.days]}
        attributes["totalBytes"] = number(fact.basis.total_bytes)
        attributes["peakBytes"] = number(fact.basis.peak_bytes)
        if fact.basis.calendar_days is not None:
            attributes["calendarDays"] = number(fact.basis.calendar_days)
    if fact.correction is not None:
        attributes["corrects"] = text(fact.correction.of)
        attributes["correction"] = number(fact.correction.number)
        attributes["correctedBy"] = text(fact.correction.by)
        attributes["correctedWhy"] = text(fact.correction.why)
        if fact.correction.cancels is not None:
            attributes["cancels"] = text(fact.correction.cancels)
    if item.last_error is not None:
        attributes["lastError"] = text(item.last_error)
    if item.next_attempt_at is not None:
        attributes["nextAttemptAt"] = number(epoch_seconds(item.next_attempt_at))
        attributes["openShard"] = text(open_shard(fact.key))
    return attributes


def open_shard(key: str) -> str:
    """The shard of the index of open items in which a fact stands: always the same one."""
    return OPEN_SHARDS[zlib.crc32(key.encode()) % len(OPEN_SHARDS)]


def decode_item(attributes: ReadAttributes) -> LedgerItem:
    """Read an item.

    Raises:
        MalformedRow: an attribute is missing or of another type; no code of ours writes that.
    """
    key = attributes.get("fact", {}).get("S", "without a key")
    row = RowReader(attributes, f"ledger item {key}")
    return LedgerItem(
        fact=_decode_fact(row, attributes),
        state=State(row.text("state")),
        generation=row.number("generation"),
        fence=row.number("fence"),
        attempts=row.number("attempts"),
        retries=row.number("retries"),
        created_at=from_epoch(row.number("createdAt")),
        claim_until=_instant(row, "claimUntil"),
        first_attempt_at=_instant(row, "firstAttemptAt"),
        next_attempt_at=_instant(row, "nextAttemptAt"),
        sent_at=_instant(row, "sentAt"),
        last_error=row.text_or_none("lastError"),
    )


def _decode_fact(row: RowReader, attributes: ReadAttributes) -> Fact:
    basis = None
    if "days" in attributes:
        basis = StorageBasis(
            days=tuple(int(day["N"]) for day in attributes["days"]["L"]),
            total_bytes=row.number("totalBytes"),
            peak_bytes=row.number("peakBytes"),
            calendar_days=row.number_or_none("calendarDays"),
        )
    correction = None
    if "corrects" in attributes:
        correction = Correction(
            of=row.text("corrects"),
            number=row.number("correction"),
            by=row.text("correctedBy"),
            why=row.text("correctedWhy"),
            cancels=row.text_or_none("cancels"),
        )
    return Fact(
        kind=FactKind(row.text("kind")),
        customer_id=row.text("customerId"),
        subject=row.text("subject"),
        event_name=row.text("eventName"),
        value=row.number("value"),
        stamped_at=from_epoch(row.number("timestamp")),
        account=StripeAccount(row.text_or_none("account"), row.flag("livemode")),
        origin=row.text("origin"),
        basis=basis,
        correction=correction,
    )


def _instant(row: RowReader, attribute: str) -> datetime | None:
    seconds = row.number_or_none(attribute)
    return None if seconds is None else from_epoch(seconds)
