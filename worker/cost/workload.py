"""The workload: what an installation has to do in a month, and what one piece of work takes.

The counts per piece are those of the worker's own calls, which a test counts on the emulator. The
seconds are not: they stand for a quarter of a vCPU and are said to be guesses where they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

# The longest month: a bill is not to be higher than what was said.
DAYS = 31
HOURS = DAYS * 24
KEYS_A_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Work:
    """What one piece of work takes.

    Args:
        lists: pages of S3 listings, beside those that many objects add.
        writes: DynamoDB write units, the copies in the indexes counted.
        reads: DynamoDB read units.
        messages: SQS messages that carry it.
        stripe_calls: calls to Stripe.
        log_lines: lines it logs.
        seconds: of a task with a quarter of a vCPU.
    """

    lists: int = 0
    writes: int = 0
    reads: Decimal = Decimal(0)
    messages: int = 1
    stripe_calls: int = 0
    log_lines: int = 1
    seconds: Decimal = Decimal(0)


# A row is under 1 KB, so a write is one unit, and one more for each index that shows the item.
# Where an update changes an index's key, that index is written twice: the old entry goes, the new
# one comes.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes
NEW_DAILY_ROW = 1 + 2
MARKED_DAILY_ROW = 1 + 1 + 2
MONTHLY_ROW = 1 + 1
# Frozen, claimed and sent, each with both indexes; confirmed leaves the index of open items, and
# invoiced is not in it.
FROZEN, CLAIMED, SENT, CONFIRMED, INVOICED = 1 + 2, 1 + 1 + 2, 1 + 1 + 2, 1 + 1 + 1, 1 + 1
FACT = FROZEN + CLAIMED + SENT + CONFIRMED + INVOICED

SIZING = Work(lists=2, writes=NEW_DAILY_ROW, seconds=Decimal("0.05"))
MONTH = Work(
    writes=FACT + MONTHLY_ROW + DAYS * MARKED_DAILY_ROW,
    reads=Decimal(12),
    # The event, the invoice it belongs on, the summary that confirms it, and what reconciling asks.
    stripe_calls=6,
    log_lines=2,
    seconds=Decimal("0.8"),
)
RUN = Work(
    lists=1,
    writes=FACT,
    reads=Decimal(4),
    stripe_calls=3,
    log_lines=2,
    seconds=Decimal("0.2"),
)
# Eight shards of open items, and how far Stripe's reports were read.
RESOLVE = Work(writes=1, reads=Decimal(6), stripe_calls=2, seconds=Decimal(1))
PAGE_SECONDS = Decimal("0.02")

TICKS = DAYS * 24 + DAYS * 3 + 1  # hourly, three nightly, one monthly


@dataclass(frozen=True, slots=True)
class Workload:
    """What there is to do.

    Args:
        customers: sized every day and billed every month.
        objects: what one customer holds, input and output together.
        files: processing runs a day, of all customers together, at any time of the day.
        writes: objects written to the bucket a day by anybody: each is an event that is paid for.
            None counts three for a run (input, trigger, output).
        wait_seconds: how long a run may wait for a worker (the compute stack's FilesOldestSeconds).
    """

    customers: int
    objects: int = 1000
    files: int = 10
    writes: int | None = None
    wait_seconds: int = 3600

    @property
    def bucket_writes(self) -> int:
        """Objects written to the bucket a day."""
        return self.files * 3 if self.writes is None else self.writes

    @property
    def extra_pages(self) -> int:
        """Pages a day beyond the first of each prefix, objects being spread evenly over both."""
        pages = ceil(Fraction(self.objects, 2 * KEYS_A_PAGE))
        return self.customers * 2 * max(pages - 1, 0)
