"""Every DynamoDB expression there is, each with what it guards.

Attribute names that DynamoDB reserves (``state``, ``timestamp``, ``date``, ``status``, ``ttl``)
stand as ``#name``; :data:`NAMES` says which
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html).
"""

from __future__ import annotations

import re

NAMES = {
    "#state": "state",
    "#timestamp": "timestamp",
    "#date": "date",
    "#status": "status",
    "#ttl": "ttl",
    "#runId": "processing-historyId",
}
_PLACEHOLDER = re.compile(r"#[A-Za-z]+")


def names_in(*expressions: str) -> dict[str, str]:
    """The ``ExpressionAttributeNames`` that these expressions use, and no others."""
    used = {name for expression in expressions for name in _PLACEHOLDER.findall(expression)}
    return {name: NAMES[name] for name in sorted(used)}


# --- The ledger -------------------------------------------------------------------------------

# A fact is frozen once: whoever comes second reads what the first one wrote.
LEDGER_IS_NEW = "attribute_not_exists(fact)"

# A fact that was skipped because of its run may be made anew: nothing was ever sent for it.
LEDGER_IS_SKIPPED = "#state = :skipped AND fence = :seenFence"

# Nobody moved the item since it was read. Every transition raises the fence.
LEDGER_AS_READ = "#state = :seenState AND generation = :generation AND fence = :seenFence"

# Only the holder of the latest claim may say what became of it.
LEDGER_CLAIM_HELD = "#state = :sending AND fence = :seenFence"

LEDGER_STANDING = "fact, #state, lastError"
LEDGER_CLAIM = (
    "SET #state = :state, fence = :fence, attempts = :attempts, claimUntil = :claimUntil, "
    "claimedBy = :claimedBy, firstAttemptAt = :firstAttemptAt, nextAttemptAt = :nextAttemptAt, "
    "account = :account"
)
LEDGER_SENT = (
    "SET #state = :state, fence = :fence, sentAt = :sentAt, nextAttemptAt = :nextAttemptAt "
    "REMOVE lastError"
)
LEDGER_PLANNED_AGAIN = (
    "SET #state = :state, fence = :fence, attempts = :attempts, retries = :retries, "
    "nextAttemptAt = :nextAttemptAt, lastError = :lastError REMOVE firstAttemptAt"
)
LEDGER_UNKNOWN = (
    "SET #state = :state, fence = :fence, retries = :retries, "
    "nextAttemptAt = :nextAttemptAt, lastError = :lastError"
)
# It waits, as what is open does, until a person is told of it.
LEDGER_STUCK = (
    "SET #state = :state, fence = :fence, lastError = :lastError, "
    "nextAttemptAt = :nextAttemptAt, openShard = :openShard"
)
LEDGER_TOLD = "SET fence = :fence REMOVE nextAttemptAt, openShard"

LEDGER_CLOSED = "SET #state = :state, fence = :fence REMOVE lastError, nextAttemptAt, openShard"
# A person starts the next generation, under the next identifier.
LEDGER_RESENT = (
    "SET #state = :state, fence = :fence, generation = :nextGeneration, identifier = :identifier, "
    "attempts = :attempts, nextAttemptAt = :nextAttemptAt, openShard = :openShard "
    "REMOVE claimUntil, claimedBy, firstAttemptAt, sentAt, lastError"
)
LEDGER_HELD_BACK = (
    "SET fence = :fence, retries = :retries, nextAttemptAt = :nextAttemptAt, lastError = :lastError"
)
LEDGER_LATER = "SET fence = :fence, nextAttemptAt = :nextAttemptAt"

# The sparse index of what waits, by shard and due time.
LEDGER_DUE = "openShard = :shard AND nextAttemptAt <= :now"
LEDGER_OPEN = "openShard = :shard"
LEDGER_STAMPED = "#timestamp BETWEEN :first AND :last"
# The facts of one customer and kind, by the minute they are stamped in.
LEDGER_OF_CUSTOMER = "customerEvent = :customerEvent AND #timestamp BETWEEN :first AND :last"

# One attribute of the controls' item for each decision.
CONTROL_PUT = "SET #control = :control"
CONTROL_END = "REMOVE #control"

# --- Daily usage ------------------------------------------------------------------------------

# Sizing never touches a row that left `pending`.
DAILY_IS_OPEN = "attribute_not_exists(customerId) OR billingStatus = :pending"
# A measure taken on another day never replaces one that was taken on the day itself.
DAILY_HAS_NO_OWN_MEASURE = (
    "attribute_not_exists(customerId) OR "
    "(billingStatus = :pending AND attribute_exists(measuredOn))"
)
# Nor does what there is left replace what object versions tell there was.
DAILY_HAS_NO_BETTER_MEASURE = (
    "attribute_not_exists(customerId) OR (billingStatus = :pending AND "
    "attribute_exists(measuredOn) AND "
    "(attribute_not_exists(measuredFrom) OR measuredFrom = :objects))"
)
DAILY_OF_MONTH = "customerId = :customerId AND #date BETWEEN :first AND :last"
DAILY_OF_CUSTOMER = "customerId = :customerId"
DAILY_CUSTOMERS_OF_MONTH = "billingMonth = :month"
# A row follows the ledger forward only; a row that is gone is not made anew.
DAILY_FOLLOWS = (
    "attribute_exists(customerId) AND (attribute_not_exists(ledgerFence) OR ledgerFence < :fence)"
)
DAILY_MARK = (
    "SET billingStatus = :status, stripeMeterEventId = :eventId, stripeMeterSentAt = :sentAt, "
    "ledgerFence = :fence"
)
DAILY_MARK_WITHOUT_EVENT = (
    "SET billingStatus = :status, ledgerFence = :fence REMOVE stripeMeterEventId, stripeMeterSentAt"
)

# --- Monthly usage ----------------------------------------------------------------------------

MONTHLY_FOLLOWS = (
    "attribute_not_exists(customerId) OR attribute_not_exists(ledgerFence) OR ledgerFence < :fence"
)
# A row that says what became of a month never goes back to `pending`.
MONTHLY_IS_OPEN = "attribute_not_exists(customerId) OR billingStatus = :pending"
# What is learned later about a month (a late row) is noted without moving the row.
MONTHLY_NOTE = "SET notes = :notes"
MONTHLY_FOLLOWED = "ledgerFence <= :fence"

# --- Processing history (the application's table: we add to its rows and never make one) --------

HISTORY_COMPLETED = "#status IN (:completed, :success)"
HISTORY_FIELDS = "#runId, customerId, completedAt, createdAt"
HISTORY_FOLLOWS = (
    "attribute_exists(#runId) AND (attribute_not_exists(ledgerFence) OR ledgerFence < :fence)"
)
HISTORY_ERROR = "SET stripeMeterError = :error, ledgerFence = :fence"
HISTORY_NO_ERROR = "SET ledgerFence = :fence REMOVE stripeMeterError"

# --- The doctor -------------------------------------------------------------------------------

# Daily rows of months that have ended and that nothing has billed, by the index on status and date.
DAILY_OPEN_BEFORE = "billingStatus = :pending AND #date < :date"
DAILY_OPEN_FIELDS = "customerId, #date"
DAILY_READ = (
    "customerId, #date, totalStorageBytes, billingStatus, ledgerFence, measuredOn, measuredFrom, "
    "totalStorageBytesInput, totalStorageBytesOutput, fileCountInput, fileCountOutput"
)
DAILY_HELD = "customerId, totalStorageBytes"

# --- The status -------------------------------------------------------------------------------

# A day's, and a month's, rows in one status are counted by their indexes.
DAILY_AT = "billingStatus = :status AND #date = :date"
MONTHLY_AT = "billingStatus = :status AND billingMonth = :month"
MONTHLY_HAS_NOTES = "attribute_exists(notes)"

# --- Long listings (in the ledger's table, beside the facts) -------------------------------------

# A successor goes on with what nobody has brought to its end.
CHECKPOINT_IS_OPEN = "attribute_exists(heldBy)"
CHECKPOINT_TAKEN = "SET heldBy = :holder"
# Who was overtaken writes nothing more.
CHECKPOINT_IS_MINE = "attribute_not_exists(heldBy) OR heldBy = :holder"
CHECKPOINT_CLOSED = "REMOVE heldBy"
UNDER_WAY_MORE = "ADD prefixes :prefixes"
UNDER_WAY_LESS = "DELETE prefixes :prefixes"
