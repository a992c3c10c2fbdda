"""Every known difference between the engines, with its reason.

A case that is listed here must fail on that engine: once it passes, the suite fails until the
entry is struck out. Of DynamoDB, DynamoDB Local is the judge, and the documentation where that
differs from it. A case is a test's name, with its parameters where only those differ.
"""

from __future__ import annotations

from typing import Final

_NOT_REFUSED: Final = "what AWS refuses passes here; the other engines refuse it"
_GONE: Final = "the receipt of a message that is gone is no receipt here; to SQS it is"
_UNCHECKED: Final = "which attributes are keys is not checked; ministack does, for all our queries"
_UNPARSED: Final = "an update that does not parse is taken for no update"

DIFFERENCES: Final[dict[tuple[str, str], str]] = {
    ("ministack", "test_a_condition_with_or"): (
        "it takes a statement with OR for one that does not name its key"
    ),
    ("ministack", "test_two_writes_of_one_item_fail_the_batch"): _NOT_REFUSED,
    ("ministack", "test_reads_and_writes_do_not_mix"): _NOT_REFUSED,
    ("ministack", "test_an_insert_checks_its_key"): _NOT_REFUSED,
    ("ministack", "test_a_reserved_word_needs_quotes"): _NOT_REFUSED,
    ("dynamodb-local", "test_a_failed_condition_shows_what_stands_there"): (
        "this version does not return the item from a batch, though the documentation says so"
    ),
    ("dynamodb-local", "test_a_reserved_word_needs_quotes[state]"): (
        "PartiQL takes the word for a name; quoted, it is one everywhere"
    ),
    ("ministack", "test_what_is_visible_again_has_no_visibility_to_change"): _NOT_REFUSED,
    ("ministack", "test_a_visibility_is_twelve_hours_at_most"): _NOT_REFUSED,
    ("ministack", "test_one_entry_may_fail_alone"): _NOT_REFUSED,
    ("ministack", "test_a_delay_is_fifteen_minutes_at_most"): _NOT_REFUSED,
    ("ministack", "test_a_message_has_ten_attributes_at_most[11-True]"): _NOT_REFUSED,
    ("ministack", "test_a_deleted_message_is_gone"): _GONE,
    ("ministack", "test_a_stale_receipt_deletes_without_an_error"): _GONE,
    ("simulation", "test_a_meter_that_is_not_there_is_refused_at_the_door"): (
        "every event name has a meter; spells of refusals at the door take its place"
    ),
    ("simulation", "test_an_unknown_customer_is_refused_later"): (
        "every customer is known; events are refused later at random instead"
    ),
    ("simulation", "test_an_item_of_more_than_400_kb_is_refused"): (
        "items are not measured: the largest of ours, a month's item, has under 2 KB"
    ),
    ("simulation", "test_a_filter_does_not_name_a_key"): _UNCHECKED,
    ("simulation", "test_a_batch_leaves_unread_what_is_beyond_16_mb"): (
        "items are not measured; keys are left unread at random instead"
    ),
    ("ministack", "test_a_filter_does_not_name_a_key"): _NOT_REFUSED,
    ("ministack", "test_a_batch_leaves_unread_what_is_beyond_16_mb"): "it reads any amount",
    ("ministack", "test_sums_and_differences"): (
        "sums have 28 digits, Python's default; ours are of fences and counts"
    ),
    ("ministack", "test_a_sum_with_a_string_is_refused"): _NOT_REFUSED,
    ("ministack", "test_an_attribute_named_twice_is_refused"): _NOT_REFUSED,
    ("ministack", "test_a_clause_twice_is_refused"): _NOT_REFUSED,
    ("ministack", "test_an_update_that_does_not_parse_is_refused[SET]"): _UNPARSED,
    ("ministack", "test_an_update_that_does_not_parse_is_refused[SET a]"): _UNPARSED,
    ("ministack", "test_an_update_that_does_not_parse_is_refused[SET a :one]"): _UNPARSED,
    ("ministack", "test_an_update_that_does_not_parse_is_refused[SET a = :one,]"): _UNPARSED,
}
