"""What DynamoDB does with reads: indexes, pages, projections and batches, on every engine.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.html
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.parity.asking import INVALID, LEDGER, code_of, fact, put, update
from tests.parity.dynamodb_engines import PRODUCT_TABLES, SimulatedDynamoDb
from tests.simulation.tables import Index

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UniversalAttributeValueTypeDef

    from tests.integration.conftest import DataStack
    from tests.parity.asking import Item
    from tests.parity.dynamodb_engines import DynamoDb

DUE = "open-nextAttemptAt-index"
STAMPED = "customerEvent-timestamp-index"
DAILY = "storage-usage-daily"


def open_fact(key: str, due: int, shard: str = "1", **more: UniversalAttributeValueTypeDef) -> Item:
    return fact(key, openShard={"S": shard}, nextAttemptAt={"N": str(due)}, **more)


def day(customer: str, date: str, status: str = "pending") -> Item:
    return {
        "customerId": {"S": customer},
        "date": {"S": date},
        "billingMonth": {"S": date[:7]},
        "billingStatus": {"S": status},
    }


def pages(db: DynamoDb, operation: str, size: int, **request: object) -> list[list[object]]:
    """The pages of a query or a scan, at most so many items each."""
    if isinstance(db, SimulatedDynamoDb):
        db.inside.pages.size = size
    else:
        request["Limit"] = size
    paginator = db.client.get_paginator(operation)  # type: ignore[call-overload]  # either of two
    return [page["Items"] for page in paginator.paginate(**request)]


def keys(found: list[list[object]], name: str = "fact") -> list[list[str]]:
    return [[item[name]["S"] for item in page] for page in found]  # type: ignore[index]  # as answered


def due_by(db: DynamoDb, now: int, size: int = 100, shard: str = "1") -> list[list[str]]:
    db.settle()
    found = pages(
        db,
        "query",
        size,
        TableName=db.table(LEDGER),
        IndexName=DUE,
        KeyConditionExpression="openShard = :shard AND nextAttemptAt <= :now",
        ExpressionAttributeValues={":shard": {"S": shard}, ":now": {"N": str(now)}},
    )
    return keys(found)


# --- One item ---------------------------------------------------------------------------------


def test_what_is_not_there_has_no_item(db: DynamoDb) -> None:
    answer = db.client.get_item(TableName=db.table(LEDGER), Key={"fact": {"S": "f"}})

    assert "Item" not in answer


def test_a_projection_leaves_out_what_is_missing(db: DynamoDb) -> None:
    put(db, fact("f", state={"S": "sent"}, other={"N": "1"}))

    answer = db.client.get_item(
        TableName=db.table(LEDGER),
        Key={"fact": {"S": "f"}},
        ConsistentRead=True,
        ProjectionExpression="fact, #state, lastError",
        ExpressionAttributeNames={"#state": "state"},
    )

    assert answer["Item"] == fact("f", state={"S": "sent"})


def test_a_reserved_word_in_a_projection_needs_a_name(db: DynamoDb) -> None:
    put(db, fact("f", state={"S": "sent"}))

    code = code_of(
        lambda: db.client.get_item(
            TableName=db.table(LEDGER), Key={"fact": {"S": "f"}}, ProjectionExpression="state"
        )
    )

    assert code == INVALID


# --- Queries ----------------------------------------------------------------------------------


def month(db: DynamoDb, size: int = 100, **more: object) -> list[list[str]]:
    found = pages(
        db,
        "query",
        size,
        TableName=db.table(DAILY),
        KeyConditionExpression="customerId = :c AND #date BETWEEN :first AND :last",
        ExpressionAttributeNames={"#date": "date"},
        ExpressionAttributeValues={
            ":c": {"S": "cus_a"},
            ":first": {"S": "2026-10-01"},
            ":last": {"S": "2026-10-31"},
        },
        ConsistentRead=True,
        **more,
    )
    return keys(found, "date")


def plant_days(db: DynamoDb) -> None:
    dates = ("2026-10-31", "2026-10-02", "2026-10-01", "2026-09-30", "2026-11-01", "2026-10-15")
    for date in dates:
        db.client.put_item(TableName=db.table(DAILY), Item=day("cus_a", date))
    db.client.put_item(TableName=db.table(DAILY), Item=day("cus_b", "2026-10-03"))


def test_a_query_is_in_the_order_of_its_range_key(db: DynamoDb) -> None:
    plant_days(db)

    october = ["2026-10-01", "2026-10-02", "2026-10-15", "2026-10-31"]
    assert month(db) == [october]
    assert month(db, ScanIndexForward=False) == [october[::-1]]


def test_pages_follow_one_another_to_the_end(db: DynamoDb) -> None:
    plant_days(db)

    found = month(db, 3)

    assert found == [["2026-10-01", "2026-10-02", "2026-10-15"], ["2026-10-31"]]


def test_pages_backwards(db: DynamoDb) -> None:
    plant_days(db)

    found = month(db, 3, ScanIndexForward=False)

    assert found == [["2026-10-31", "2026-10-15", "2026-10-02"], ["2026-10-01"]]


def test_a_filter_counts_after_the_page_is_cut(db: DynamoDb) -> None:
    plant_days(db)
    db.client.put_item(TableName=db.table(DAILY), Item=day("cus_a", "2026-10-15", "billed"))

    found = pages(
        db,
        "query",
        3,
        TableName=db.table(DAILY),
        KeyConditionExpression="customerId = :c",
        FilterExpression="billingStatus = :billed",
        ExpressionAttributeValues={":c": {"S": "cus_a"}, ":billed": {"S": "billed"}},
    )

    assert keys(found, "date")[:2] == [[], ["2026-10-15"]]


def test_a_query_without_its_hash_key_is_refused(db: DynamoDb) -> None:
    code = code_of(
        lambda: db.client.query(
            TableName=db.table(DAILY),
            KeyConditionExpression="#date = :d",
            ExpressionAttributeNames={"#date": "date"},
            ExpressionAttributeValues={":d": {"S": "2026-10-01"}},
        )
    )

    assert code == INVALID


def test_a_filter_does_not_name_a_key(db: DynamoDb) -> None:
    code = code_of(
        lambda: db.client.query(
            TableName=db.table(DAILY),
            KeyConditionExpression="customerId = :c",
            FilterExpression="#date = :d",
            ExpressionAttributeNames={"#date": "date"},
            ExpressionAttributeValues={":c": {"S": "cus_a"}, ":d": {"S": "2026-10-01"}},
        )
    )

    assert code == INVALID


# --- Indexes ----------------------------------------------------------------------------------


def test_an_index_is_in_the_order_of_its_numbers(db: DynamoDb) -> None:
    for due in (100, 9, 20):
        put(db, open_fact(f"f{due}", due))

    assert due_by(db, 100) == [["f9", "f20", "f100"]]
    assert due_by(db, 99) == [["f9", "f20"]]
    assert due_by(db, 100, shard="2") == [[]]


def test_an_index_shows_what_has_both_its_keys(db: DynamoDb) -> None:
    put(db, open_fact("f", 1))
    put(db, fact("no shard", nextAttemptAt={"N": "1"}))
    put(db, fact("no time", openShard={"S": "1"}))
    assert due_by(db, 9) == [["f"]]

    update(db, "f", "REMOVE openShard, nextAttemptAt")
    assert due_by(db, 9) == [[]]

    update(
        db,
        "f",
        "SET openShard = :s, nextAttemptAt = :n",
        {":s": {"S": "2"}, ":n": {"N": "5"}},
    )
    assert (due_by(db, 9), due_by(db, 9, shard="2")) == ([[]], [["f"]])


def test_pages_of_an_index_go_through_equal_keys(db: DynamoDb) -> None:
    names = [f"f{number}" for number in range(7)]
    for name in names:
        put(db, open_fact(name, 5))

    found = due_by(db, 5, 3)

    assert [len(page) for page in found] == [3, 3, 1]
    assert sorted(chain(*found)) == names


def test_an_index_projects_everything(db: DynamoDb) -> None:
    item = open_fact("f", 1, days={"L": [{"N": "1"}]}, state={"S": "planned"})
    put(db, item)
    db.settle()

    answer = db.client.query(
        TableName=db.table(LEDGER),
        IndexName=DUE,
        KeyConditionExpression="openShard = :shard",
        ExpressionAttributeValues={":shard": {"S": "1"}},
    )

    assert answer["Items"] == [item]


def test_an_index_of_a_reserved_word(db: DynamoDb) -> None:
    for stamp in (59, 60, 119, 120):
        put(db, fact(f"f{stamp}", customerEvent={"S": "c"}, timestamp={"N": str(stamp)}))
    db.settle()

    answer = db.client.query(
        TableName=db.table(LEDGER),
        IndexName=STAMPED,
        KeyConditionExpression="customerEvent = :c AND #timestamp BETWEEN :first AND :last",
        ExpressionAttributeNames={"#timestamp": "timestamp"},
        ExpressionAttributeValues={
            ":c": {"S": "c"},
            ":first": {"N": "60"},
            ":last": {"N": "119"},
        },
    )

    assert [item["fact"]["S"] for item in answer["Items"]] == ["f60", "f119"]


def test_an_index_has_no_consistent_reads(db: DynamoDb) -> None:
    code = code_of(
        lambda: db.client.query(
            TableName=db.table(LEDGER),
            IndexName=DUE,
            KeyConditionExpression="openShard = :shard",
            ExpressionAttributeValues={":shard": {"S": "1"}},
            ConsistentRead=True,
        )
    )

    assert code == INVALID


# --- Scans ------------------------------------------------------------------------------------


def test_segments_share_out_a_table(db: DynamoDb) -> None:
    names = sorted(f"f{number}" for number in range(40))
    for name in names:
        put(db, fact(name))

    segments = [
        keys(pages(db, "scan", 7, TableName=db.table(LEDGER), Segment=n, TotalSegments=4))
        for n in range(4)
    ]

    assert sorted(chain(*chain(*segments))) == names


def test_a_scan_filters_and_projects(db: DynamoDb) -> None:
    for number, state in enumerate(("completed", "failed", "success")):
        put(db, fact(f"f{number}", status={"S": state}, other={"N": "1"}))

    found = pages(
        db,
        "scan",
        100,
        TableName=db.table(LEDGER),
        FilterExpression="#status IN (:completed, :success)",
        ProjectionExpression="fact, customerId",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":completed": {"S": "completed"}, ":success": {"S": "success"}},
    )

    assert len(found) == 1
    assert sorted(found[0], key=str) == [fact("f0"), fact("f2")]


# --- Batches ----------------------------------------------------------------------------------


def asked(db: DynamoDb, names: list[str]) -> dict[str, list[dict[str, object]]]:
    answer = db.client.batch_get_item(
        RequestItems={
            db.table(LEDGER): {
                "Keys": [{"fact": {"S": name}} for name in names],
                "ConsistentRead": True,
                "ProjectionExpression": "fact, #state",
                "ExpressionAttributeNames": {"#state": "state"},
            }
        }
    )
    return {
        "found": [dict(item) for item in answer["Responses"].get(db.table(LEDGER), [])],
        "unread": [dict(answer.get("UnprocessedKeys", {}))],
    }


def test_a_batch_finds_what_there_is(db: DynamoDb) -> None:
    for number in range(3):
        put(db, fact(f"f{number}", state={"S": "sent"}, other={"N": "1"}))

    answer = asked(db, [f"f{number}" for number in range(2, 100)] + ["f0", "f1"])

    wanted = [fact(f"f{number}", state={"S": "sent"}) for number in range(3)]
    assert sorted(answer["found"], key=str) == wanted
    assert answer["unread"] == [{}]


def test_a_batch_has_a_hundred_keys_at_most(db: DynamoDb) -> None:
    assert code_of(lambda: asked(db, [f"f{number}" for number in range(101)])) == INVALID


def test_a_batch_asks_for_no_key_twice(db: DynamoDb) -> None:
    assert code_of(lambda: asked(db, ["f", "g", "f"])) == INVALID


def test_a_batch_leaves_unread_what_is_beyond_16_mb(db: DynamoDb) -> None:
    names = [f"f{number}" for number in range(45)]
    large: UniversalAttributeValueTypeDef = {"S": "x" * (390 * 1024)}
    for name in names:
        put(db, fact(name, large=large))

    answer = asked(db, names)

    unread = answer["unread"][0]
    assert unread
    rest = unread[db.table(LEDGER)]["Keys"]  # type: ignore[index]  # as answered
    assert len(answer["found"]) + len(rest) == len(names)
    again = asked(db, [key["fact"]["S"] for key in rest])
    assert sorted(item["fact"]["S"] for item in answer["found"] + again["found"]) == sorted(  # type: ignore[index]  # as answered
        names
    )


# --- The tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PRODUCT_TABLES))
def test_the_simulation_has_the_tables_of_the_template(
    template_stack: DataStack, ministack_dynamodb: DynamoDBClient, name: str
) -> None:
    simulated = PRODUCT_TABLES[name]

    table = ministack_dynamodb.describe_table(
        TableName=template_stack.table(name.removeprefix("siftbeam-"))
    )["Table"]

    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    assert tuple(key["AttributeName"] for key in table["KeySchema"]) == simulated.key
    indexes = {}
    for index in table.get("GlobalSecondaryIndexes", []):
        hash_key, *more = (key["AttributeName"] for key in index["KeySchema"])
        made = Index(
            index["IndexName"],
            hash_key,
            more[0] if more else None,
            {key: types[key] for key in (hash_key, *more)},
        )
        indexes[made.name] = (made, index["Projection"]["ProjectionType"])
    wanted = {
        index.name: (
            Index(
                index.name,
                index.hash_key,
                index.range_key,
                {
                    key: index.types[key]
                    for key in (index.hash_key, index.range_key)
                    if key is not None
                },
            ),
            "ALL",
        )
        for index in simulated.indexes.values()
    }
    assert indexes == wanted
