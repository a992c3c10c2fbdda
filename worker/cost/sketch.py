"""The Step Functions sketch that this installation replaces, counted from the same price table.

It bills storage only. It lists one page of a prefix, and so is wrong for a customer with more than
1,000 objects under one; what it would cost if it listed every page is counted beside it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from worker.cost import prices
from worker.cost.bill import GIB, Bill, Line, usage_rows
from worker.cost.workload import DAYS, MONTHLY_ROW, NEW_DAILY_ROW

if TYPE_CHECKING:
    from worker.cost.workload import Workload

# What the mission quotes for it, for 100 customers.
QUOTED_DOLLARS = Decimal("1.21")
QUOTED_CUSTOMERS = 100
# States a customer passes: two listings, their two sums, the row's figures, the row; and the query,
# the average, the rounding, the call, the choice, the row and the mark.
STATES_A_DAY, STATES_A_MONTH = 6, 7
# One more listing and the choice that leads to it.
_STATES_A_PAGE = 2
# Start, customers, the map and its end.
_STATES_A_RUN = 4
_MARKED = 1 + 1 + 2


def sketch(workload: Workload, *, every_page: bool = False) -> Bill:
    """What a month of the sketch costs, as it is or if it listed everything."""
    sized = Decimal(workload.customers * DAYS)
    pages = Decimal(workload.extra_pages * DAYS if every_page else 0)
    transitions = (
        sized * STATES_A_DAY
        + workload.customers * STATES_A_MONTH
        + (DAYS + 1) * _STATES_A_RUN
        + pages * _STATES_A_PAGE
    )
    # It marks one daily row; under the right key, which it has not.
    written = sized * NEW_DAILY_ROW + workload.customers * (MONTHLY_ROW + _MARKED)
    return Bill(
        (
            Line(prices.TRANSITIONS, transitions),
            Line(prices.LISTS, sized * 2 + pages),
            Line(prices.WRITES, written),
            Line(prices.TABLE_STORAGE, sum(usage_rows(workload)) / GIB),
            Line(prices.SECRET, Decimal(1)),
            Line(prices.SECRET_READS, Decimal(workload.customers)),
            Line(prices.ALARMS, Decimal(1)),
            Line(prices.METRICS, Decimal(1)),
        )
    )
