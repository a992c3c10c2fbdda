"""What DynamoDB does with writes and their conditions, on every engine.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parity.asking import FAILED, INVALID, LEDGER, code_of, fact, get, holds, put, update
from tests.parity.asking import refusal as refusal_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UniversalAttributeValueTypeDef

    from tests.parity.dynamodb_engines import DynamoDb

ONE: UniversalAttributeValueTypeDef = {"N": "1"}
TWO: UniversalAttributeValueTypeDef = {"N": "2"}
A: UniversalAttributeValueTypeDef = {"S": "a"}
DIGITS_38 = "12345678901234567890123456789012345678"


# --- Conditions -------------------------------------------------------------------------------


def test_the_second_to_create_an_item_is_told_of_the_first(db: DynamoDb) -> None:
    def create(value: UniversalAttributeValueTypeDef) -> None:
        db.client.put_item(
            TableName=db.table(LEDGER),
            Item=fact("f", value=value),
            ConditionExpression="attribute_not_exists(fact)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    create(ONE)
    refused = refusal_of(lambda: create(TWO))

    assert refused is not None
    assert (refused.code, refused.item) == (FAILED, fact("f", value=ONE))
    assert get(db, "f") == fact("f", value=ONE)


def test_who_does_not_ask_is_not_told(db: DynamoDb) -> None:
    put(db, fact("f", fence=ONE))

    refused = refusal_of(
        lambda: update(db, "f", "SET fence = :two", {":two": TWO}, condition="fence = :two")
    )

    assert refused is not None
    assert (refused.code, refused.item) == (FAILED, None)


def test_a_condition_on_nothing_tells_of_nothing(db: DynamoDb) -> None:
    refused = refusal_of(
        lambda: update(
            db, "f", "SET a = :two", {":two": TWO}, condition="fence = :two", all_old=True
        )
    )

    assert refused is not None
    assert (refused.code, refused.item) == (FAILED, None)
    assert get(db, "f") is None


def test_only_the_fence_that_was_read_moves_an_item(db: DynamoDb) -> None:
    put(db, fact("f", fence=ONE, state={"S": "planned"}))

    def move(seen: str, new: str) -> str | None:
        return code_of(
            lambda: update(
                db,
                "f",
                "SET fence = :new, #state = :to",
                {":new": {"N": new}, ":seen": {"N": seen}, ":to": A, ":from": {"S": "planned"}},
                names={"#state": "state"},
                condition="#state = :from AND fence = :seen",
            )
        )

    assert [move("2", "3"), move("1", "2"), move("1", "2")] == [FAILED, None, FAILED]
    assert get(db, "f") == fact("f", fence=TWO, state=A)


def test_nothing_compares_with_a_missing_attribute(db: DynamoDb) -> None:
    for operator in ("=", "<", "<=", ">", ">="):
        assert not holds(db, {}, f"fence {operator} :one", {":one": ONE}), operator
    assert holds(db, {}, "fence <> :one", {":one": ONE})
    assert not holds(db, {}, "fence BETWEEN :one AND :one", {":one": ONE})
    assert not holds(db, {}, "fence IN (:one)", {":one": ONE})


def test_two_types_are_never_equal_nor_in_order(db: DynamoDb) -> None:
    for operator in ("=", "<", "<=", ">", ">="):
        assert not holds(db, {"n": {"S": "1"}}, f"n {operator} :one", {":one": ONE}), operator
    assert holds(db, {"n": {"S": "1"}}, "n <> :one", {":one": ONE})
    assert not holds(db, {"n": {"NULL": True}}, "n < :one", {":one": ONE})


def test_numbers_compare_as_numbers(db: DynamoDb) -> None:
    def compare(left: str, operator: str, right: str) -> bool:
        return holds(db, {"n": {"N": left}}, f"n {operator} :n", {":n": {"N": right}})

    assert compare("1", "=", "1.0")
    assert compare("10", ">", "9")
    assert compare("-2", "<", "-1")
    assert compare(DIGITS_38, "=", DIGITS_38)
    assert compare(DIGITS_38, "<", DIGITS_38[:-1] + "9")


def test_strings_compare_by_their_bytes(db: DynamoDb) -> None:
    assert holds(db, {"s": {"S": "2026-09-30"}}, "s < :s", {":s": {"S": "2026-10-01"}})
    assert holds(db, {"s": {"S": "Z"}}, "s < :s", {":s": A})
    assert holds(db, {"s": {"S": ""}}, "s < :s", {":s": A})
    # U+FF5E comes before U+1F600 in UTF-8, and after it in UTF-16.
    assert holds(db, {"s": {"S": "\uff5e"}}, "s < :s", {":s": {"S": "\U0001f600"}})


def test_between_and_in_take_their_bounds(db: DynamoDb) -> None:
    bounds: dict[str, UniversalAttributeValueTypeDef] = {":low": ONE, ":high": {"N": "3"}}
    found = [
        n for n in range(5) if holds(db, {"n": {"N": str(n)}}, "n BETWEEN :low AND :high", bounds)
    ]
    assert found == [1, 2, 3]
    assert holds(db, {"n": ONE}, "n IN (:low, :high)", bounds)
    assert not holds(db, {"n": TWO}, "n IN (:low, :high)", bounds)


def test_bounds_the_wrong_way_round_are_refused(db: DynamoDb) -> None:
    put(db, fact("f", n=ONE))
    code = code_of(
        lambda: update(db, "f", "REMOVE x", {":a": TWO, ":b": ONE}, condition="n BETWEEN :a AND :b")
    )
    assert code == INVALID


def test_an_attribute_that_is_null_exists(db: DynamoDb) -> None:
    assert holds(db, {"n": {"NULL": True}}, "attribute_exists(n)")
    assert not holds(db, {"n": {"NULL": True}}, "attribute_not_exists(n)")
    assert holds(db, {}, "attribute_not_exists(n)")


def test_and_binds_closer_than_or_and_not_closer_than_and(db: DynamoDb) -> None:
    values = {":one": ONE}
    assert holds(db, {"a": ONE}, "a = :one OR b = :one AND c = :one", values)
    assert not holds(db, {"a": ONE}, "(a = :one OR b = :one) AND c = :one", values)
    assert not holds(db, {"a": ONE}, "NOT a = :one AND a = :one", values)
    assert holds(db, {"a": ONE}, "NOT (b = :one AND a = :one)", values)


def test_parts_of_strings(db: DynamoDb) -> None:
    standing: dict[str, UniversalAttributeValueTypeDef] = {"s": {"S": "2026-10"}}
    assert holds(db, standing, "begins_with(s, :p)", {":p": {"S": "2026"}})
    assert not holds(db, standing, "begins_with(s, :p)", {":p": {"S": "10"}})
    assert holds(db, standing, "contains(s, :p)", {":p": {"S": "10"}})
    assert not holds(db, standing, "contains(absent, :p)", {":p": {"S": "10"}})


# --- Updates ----------------------------------------------------------------------------------


def test_an_update_of_nothing_creates_it(db: DynamoDb) -> None:
    update(db, "f", "SET a = :one", {":one": ONE})

    assert get(db, "f") == fact("f", a=ONE)


def test_set_and_remove_in_one_update(db: DynamoDb) -> None:
    put(db, fact("f", gone=ONE, kept=A))

    update(db, "f", "SET a = :one REMOVE gone, never", {":one": ONE})

    assert get(db, "f") == fact("f", a=ONE, kept=A)


def test_set_reads_the_item_as_it_was(db: DynamoDb) -> None:
    put(db, fact("f", a=ONE, b=TWO))

    update(db, "f", "SET a = b, b = a")

    assert get(db, "f") == fact("f", a=TWO, b=ONE)


def test_sums_and_differences(db: DynamoDb) -> None:
    put(db, fact("f", n={"N": "9"}, big={"N": DIGITS_38}))

    update(db, "f", "SET n = n + :one, m = n - :two", {":one": ONE, ":two": TWO})
    update(db, "f", "SET big = big + :one", {":one": ONE})

    assert get(db, "f") == fact("f", n={"N": "10"}, m={"N": "7"}, big={"N": DIGITS_38[:-1] + "9"})


def test_a_sum_with_a_missing_attribute_is_refused(db: DynamoDb) -> None:
    put(db, fact("f"))

    assert code_of(lambda: update(db, "f", "SET n = n + :one", {":one": ONE})) == INVALID
    assert code_of(lambda: update(db, "f", "SET n = m")) == INVALID


def test_a_sum_with_a_string_is_refused(db: DynamoDb) -> None:
    put(db, fact("f", n=A))

    assert code_of(lambda: update(db, "f", "SET n = n + :one", {":one": ONE})) == INVALID
    assert code_of(lambda: update(db, "f", "ADD n :one", {":one": ONE})) == INVALID


def test_if_not_exists(db: DynamoDb) -> None:
    for _ in range(2):
        update(
            db,
            "f",
            "SET n = if_not_exists(n, :none) + :one, created = if_not_exists(created, n)"
            if get(db, "f")
            else "SET n = if_not_exists(n, :none) + :one, created = if_not_exists(created, :none)",
            {":none": {"N": "0"}, ":one": ONE},
        )

    assert get(db, "f") == fact("f", n=TWO, created={"N": "0"})


def test_add_begins_at_nothing(db: DynamoDb) -> None:
    update(db, "f", "ADD n :one", {":one": ONE})
    update(db, "f", "ADD n :minus SET a = :one", {":minus": {"N": "-3"}, ":one": ONE})

    assert get(db, "f") == fact("f", n={"N": "-2"}, a=ONE)


def test_an_attribute_named_twice_is_refused(db: DynamoDb) -> None:
    put(db, fact("f", a=ONE))

    assert code_of(lambda: update(db, "f", "SET a = :one REMOVE a", {":one": ONE})) == INVALID
    assert (
        code_of(lambda: update(db, "f", "SET a = :one, a = :two", {":one": ONE, ":two": TWO}))
        == INVALID
    )


def test_a_clause_twice_is_refused(db: DynamoDb) -> None:
    assert code_of(lambda: update(db, "f", "SET a = :one SET b = :one", {":one": ONE})) == INVALID


def test_a_key_does_not_change(db: DynamoDb) -> None:
    put(db, fact("f"))

    assert code_of(lambda: update(db, "f", "SET fact = :a", {":a": A})) == INVALID
    assert code_of(lambda: update(db, "f", "REMOVE fact")) == INVALID


def test_keywords_in_lower_case(db: DynamoDb) -> None:
    put(db, fact("f", a=ONE, b=ONE))

    update(
        db,
        "f",
        "set a = :two remove b",
        {":two": TWO, ":one": ONE},
        condition="a = :one and (b between :one and :one or b in (:two))",
    )

    assert get(db, "f") == fact("f", a=TWO)


def test_the_new_item_is_returned_to_who_asks(db: DynamoDb) -> None:
    put(db, fact("f", a=ONE))

    answer = db.client.update_item(
        TableName=db.table(LEDGER),
        Key={"fact": {"S": "f"}},
        UpdateExpression="SET b = :two",
        ExpressionAttributeValues={":two": TWO},
        ReturnValues="ALL_NEW",
    )

    assert answer["Attributes"] == fact("f", a=ONE, b=TWO)


# --- Values -----------------------------------------------------------------------------------


def test_every_kind_of_value_comes_back(db: DynamoDb) -> None:
    item = fact(
        "f",
        text={"S": "é\U0001f600\n"},
        empty={"S": ""},
        digits={"N": DIGITS_38},
        flag={"BOOL": False},
        nothing={"NULL": True},
        days={"L": [{"N": "1"}, {"N": "31"}]},
        inner={"M": {"a": {"S": "b"}}},
    )
    put(db, item)

    assert get(db, "f") == item


@pytest.mark.parametrize(
    ("written", "read"),
    [("007", "7"), ("1.50", "1.5"), ("1e3", "1000"), ("-0", "0"), ("+5", "5")],
)
def test_a_number_comes_back_in_its_shortest_form(db: DynamoDb, written: str, read: str) -> None:
    put(db, fact("f", n={"N": written}))

    assert get(db, "f") == fact("f", n={"N": read})


@pytest.mark.parametrize("number", [DIGITS_38 + "9", "1e126", "1e-131", "x", "", "NaN"])
def test_what_is_no_number_of_38_digits_is_refused(db: DynamoDb, number: str) -> None:
    assert code_of(lambda: put(db, fact("f", n={"N": number}))) == INVALID


def test_an_empty_key_is_refused(db: DynamoDb) -> None:
    assert code_of(lambda: put(db, fact(""))) == INVALID


def test_a_key_of_another_type_is_refused(db: DynamoDb) -> None:
    assert code_of(lambda: put(db, {"fact": ONE})) == INVALID


def test_a_missing_key_is_refused(db: DynamoDb) -> None:
    assert code_of(lambda: put(db, {"a": A})) == INVALID


def test_the_key_of_an_index_is_of_its_type(db: DynamoDb) -> None:
    wrong: dict[str, UniversalAttributeValueTypeDef] = {"openShard": {"S": "1"}, "nextAttemptAt": A}
    assert code_of(lambda: put(db, fact("f", **wrong))) == INVALID
    wrong["nextAttemptAt"] = {"NULL": True}
    assert code_of(lambda: put(db, fact("f", **wrong))) == INVALID
    put(db, fact("f"))
    assert (
        code_of(lambda: update(db, "f", "SET nextAttemptAt = :n", {":n": {"NULL": True}}))
        == INVALID
    )


def test_the_key_of_an_index_is_not_empty(db: DynamoDb) -> None:
    assert code_of(lambda: put(db, fact("f", openShard={"S": ""}, nextAttemptAt=ONE))) == INVALID


def test_an_item_of_more_than_400_kb_is_refused(db: DynamoDb) -> None:
    put(db, fact("f", a={"S": "x" * (400 * 1024 - 10)}))

    assert code_of(lambda: put(db, fact("f", a={"S": "x" * (400 * 1024)}))) == INVALID
    assert code_of(lambda: update(db, "f", "SET b = :b", {":b": {"S": "x" * 100}})) == INVALID


# --- Requests that make no sense --------------------------------------------------------------


@pytest.mark.parametrize("word", ["state", "timestamp", "date", "status", "ttl", "value", "State"])
def test_a_reserved_word_needs_a_name(db: DynamoDb, word: str) -> None:
    put(db, fact("f", **{word: ONE}))

    assert code_of(lambda: update(db, "f", f"SET {word} = :one", {":one": ONE})) == INVALID
    assert (
        code_of(lambda: update(db, "f", "SET a = :one", {":one": ONE}, condition=f"{word} = :one"))
        == INVALID
    )


def test_names_and_values_are_used_and_defined(db: DynamoDb) -> None:
    put(db, fact("f", a=ONE))

    assert code_of(lambda: update(db, "f", "SET a = :one", {":one": ONE, ":two": TWO})) == INVALID
    assert code_of(lambda: update(db, "f", "SET a = :one", {":two": TWO})) == INVALID
    assert code_of(lambda: update(db, "f", "SET #a = :one", {":one": ONE})) == INVALID
    assert (
        code_of(lambda: update(db, "f", "SET a = :one", {":one": ONE}, names={"#a": "a"}))
        == INVALID
    )


@pytest.mark.parametrize(
    "expression", ["", "SET", "SET a", "SET a :one", "SET a = :one,", "MAKE a = :one", "a = :one"]
)
def test_an_update_that_does_not_parse_is_refused(db: DynamoDb, expression: str) -> None:
    values = {":one": ONE} if ":one" in expression else None

    assert code_of(lambda: update(db, "f", expression, values)) == INVALID


@pytest.mark.parametrize(
    "condition", ["", "a =", "= :one", "a = :one AND", "(a = :one", "a == :one", "a LIKE :one"]
)
def test_a_condition_that_does_not_parse_is_refused(db: DynamoDb, condition: str) -> None:
    values = {":one": ONE}

    assert code_of(lambda: update(db, "f", "SET b = :one", values, condition=condition)) == INVALID


def test_a_missing_table_is_named(db: DynamoDb) -> None:
    code = code_of(lambda: db.client.put_item(TableName="nowhere", Item=fact("f")))

    assert code == "ResourceNotFoundException"
