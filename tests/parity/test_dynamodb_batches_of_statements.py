# ruff: noqa: S608 - the statements are our own
"""What DynamoDB does with a batch of PartiQL writes, each of which may fail by itself.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html

docs/parity.md says what follows for code that relies on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.parity.asking import INVALID, LEDGER, batch, code_of, fact, get, put

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.parity.dynamodb_engines import DynamoDb

    Parameter = Mapping[str, object]

FAILED = "ConditionalCheckFailed"
DUPLICATE = "DuplicateItem"
WRONG = "ValidationError"
ONE = {"N": "1"}
TWO = {"N": "2"}


def insert(db: DynamoDb, key: str, fence: str = "1") -> tuple[str, list[Parameter]]:
    statement = f"INSERT INTO \"{db.table(LEDGER)}\" VALUE {{'fact': ?, 'fence': ?}}"
    return statement, [{"S": key}, {"N": fence}]


def move(db: DynamoDb, key: str, seen: str, new: str) -> tuple[str, list[Parameter]]:
    statement = (
        f'UPDATE "{db.table(LEDGER)}" SET fence = ? SET "state" = ? WHERE fact = ? AND fence = ?'
    )
    return statement, [{"N": new}, {"S": "sending"}, {"S": key}, {"N": seen}]


def of(db: DynamoDb, clauses: str, *parameters: Parameter) -> tuple[str, list[Parameter]]:
    return f'UPDATE "{db.table(LEDGER)}" {clauses}', list(parameters)


def codes(db: DynamoDb, *statements: tuple[str, list[Parameter]]) -> list[object]:
    """Each statement's error, None where there is none."""
    return [told if isinstance(told, str) else None for told in batch(db, *statements)]


def test_each_statement_succeeds_or_fails_by_itself(db: DynamoDb) -> None:
    put(db, fact("old", fence=ONE))
    put(db, fact("held", fence=ONE))
    put(db, fact("ours", fence=ONE))

    told = codes(
        db,
        insert(db, "new"),
        insert(db, "old", "9"),
        move(db, "held", "7", "8"),
        move(db, "nowhere", "1", "2"),
        move(db, "ours", "1", "2"),
    )

    assert told == [None, DUPLICATE, FAILED, FAILED, None]
    assert get(db, "new") == fact("new", fence=ONE)
    assert get(db, "old") == fact("old", fence=ONE)
    assert get(db, "held") == fact("held", fence=ONE)
    assert get(db, "nowhere") is None
    assert get(db, "ours") == fact("ours", fence=TWO, state={"S": "sending"})


def test_an_update_without_a_condition_makes_nothing(db: DynamoDb) -> None:
    # UpdateItem would create the item.
    told = codes(db, of(db, "SET fence = 1 WHERE fact = ?", {"S": "nowhere"}))

    assert told == [FAILED]
    assert get(db, "nowhere") is None


def test_sets_and_removals_in_one_statement(db: DynamoDb) -> None:
    put(db, fact("f", a=ONE, b=ONE))

    told = codes(db, of(db, "SET a = ? SET c = ? REMOVE b WHERE fact = ?", TWO, TWO, {"S": "f"}))

    assert told == [None]
    assert get(db, "f") == fact("f", a=TWO, c=TWO)


def test_sets_by_comma(db: DynamoDb) -> None:
    put(db, fact("f", a=ONE))

    told = codes(db, of(db, "SET a = ?, c = ? WHERE fact = ?", TWO, TWO, {"S": "f"}))

    assert told == [None]
    assert get(db, "f") == fact("f", a=TWO, c=TWO)


def test_an_attribute_that_has_to_be_missing(db: DynamoDb) -> None:
    put(db, fact("f"))
    put(db, fact("g", a=ONE))

    told = codes(
        db,
        of(db, "SET a = ? WHERE fact = ? AND attribute_not_exists(a)", TWO, {"S": "f"}),
        of(db, "SET a = ? WHERE fact = ? AND attribute_not_exists(a)", TWO, {"S": "g"}),
    )

    assert told == [None, FAILED]


def test_missing_is_a_word_too(db: DynamoDb) -> None:
    put(db, fact("f"))
    put(db, fact("g", a=ONE))

    told = codes(
        db,
        of(db, "SET a = ? WHERE fact = ? AND a IS MISSING", TWO, {"S": "f"}),
        of(db, "SET a = ? WHERE fact = ? AND a IS MISSING", TWO, {"S": "g"}),
    )

    assert told == [None, FAILED]


def test_a_condition_with_or(db: DynamoDb) -> None:
    put(db, fact("f"))
    put(db, fact("g", a=ONE))
    put(db, fact("h", a={"N": "9"}))
    condition = "fact = ? AND (attribute_not_exists(a) OR a < ?)"

    told = codes(
        db, *(of(db, f"SET a = ? WHERE {condition}", TWO, {"S": key}, TWO) for key in "fgh")
    )

    assert told == [None, None, FAILED]


def test_a_failed_condition_shows_what_stands_there(db: DynamoDb) -> None:
    put(db, fact("f", fence=ONE))

    answer = db.client.batch_execute_statement(
        Statements=[
            {
                "Statement": f'UPDATE "{db.table(LEDGER)}" SET a = 1 WHERE fact = ? AND fence = ?',
                "Parameters": [{"S": "f"}, TWO],
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        ]
    )

    assert answer["Responses"][0]["Error"].get("Item") == fact("f", fence=ONE)


def test_a_duplicate_does_not_show_what_stands_there(db: DynamoDb) -> None:
    put(db, fact("f", fence=ONE))
    statement, parameters = insert(db, "f")

    answer = db.client.batch_execute_statement(
        Statements=[
            {
                "Statement": statement,
                "Parameters": parameters,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        ]
    )

    assert "Item" not in answer["Responses"][0]["Error"]


def test_what_stands_there_now_can_be_returned(db: DynamoDb) -> None:
    put(db, fact("f", fence=ONE))

    told = batch(db, of(db, "SET fence = ? WHERE fact = ? RETURNING ALL NEW *", TWO, {"S": "f"}))

    assert told == [fact("f", fence=TWO)]


def test_two_writes_of_one_item_fail_the_batch(db: DynamoDb) -> None:
    # Some of it may be written all the same: DynamoDB Local does what stands before the second.
    assert code_of(lambda: batch(db, move(db, "f", "1", "2"), move(db, "f", "2", "3"))) == INVALID
    assert code_of(lambda: batch(db, insert(db, "new"), insert(db, "new"))) == INVALID


def test_reads_and_writes_do_not_mix(db: DynamoDb) -> None:
    read: tuple[str, list[Parameter]] = (
        f'SELECT * FROM "{db.table(LEDGER)}" WHERE fact = ?',
        [{"S": "f"}],
    )

    assert code_of(lambda: batch(db, read, insert(db, "new"))) == INVALID
    assert get(db, "new") is None


def test_a_batch_has_25_statements_at_most(db: DynamoDb) -> None:
    assert codes(db, *(insert(db, f"a{n}") for n in range(25))) == [None] * 25
    assert code_of(lambda: batch(db, *(insert(db, f"b{n}") for n in range(26)))) == INVALID
    assert get(db, "b0") is None


def test_a_statement_that_does_not_parse_fails_by_itself(db: DynamoDb) -> None:
    wrong: tuple[str, list[Parameter]] = ("UPDATEE nothing", [{"S": "f"}])

    assert codes(db, insert(db, "a"), wrong, insert(db, "b")) == [None, WRONG, None]


def test_a_missing_table_fails_by_itself(db: DynamoDb) -> None:
    nowhere: tuple[str, list[Parameter]] = ("INSERT INTO \"no\" VALUE {'fact': ?}", [{"S": "f"}])

    assert codes(db, insert(db, "a"), nowhere) == [None, "ResourceNotFound"]


def test_parameters_too_few_fail_by_themselves(db: DynamoDb) -> None:
    few = of(db, "SET fence = ? WHERE fact = ?", TWO)

    assert codes(db, insert(db, "a"), few) == [None, WRONG]


def test_an_insert_checks_its_key(db: DynamoDb) -> None:
    statement, _ = insert(db, "")

    assert codes(db, (statement, [ONE, ONE])) == [WRONG]


@pytest.mark.parametrize("word", ["state", "timestamp", "value"])
def test_a_reserved_word_needs_quotes(db: DynamoDb, word: str) -> None:
    put(db, fact("f"))

    assert codes(db, of(db, f"SET {word} = ? WHERE fact = ?", TWO, {"S": "f"})) == [WRONG]
    assert codes(db, of(db, f'SET "{word}" = ? WHERE fact = ?', TWO, {"S": "f"})) == [None]


def test_every_kind_of_value_is_a_parameter(db: DynamoDb) -> None:
    item = fact(
        "f",
        empty={"S": ""},
        digits={"N": "9" * 38},
        flag={"BOOL": True},
        nothing={"NULL": True},
        days={"L": [{"N": "1"}]},
    )
    names = ", ".join(f"'{name}': ?" for name in item)

    statement = f'INSERT INTO "{db.table(LEDGER)}" VALUE {{{names}}}'

    values = cast("list[Parameter]", list(item.values()))
    assert codes(db, (statement, values)) == [None]
    assert get(db, "f") == item
