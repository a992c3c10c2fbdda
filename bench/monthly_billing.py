"""A month of 31 days billed for many customers, from the queue to Stripe and to every row.

``python -m bench.monthly_billing [--rounds N] [--messages N]``
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from bench.contender import Contender
from bench.rounds import arguments, play, publish
from bench.serving import Server, server
from producers.billing_month import BillingMonth

OURS = "SiftBeam Billing"
CONCURRENCY = 20
_AT_ONCE = 500
_QUEUE = "siftbeam-monthly-billing"


def _months(stand_in: Server, messages: int) -> None:
    """One message per customer, who has a row for each day of the month that ended last."""
    month = BillingMonth.containing(datetime.now(UTC)).previous
    for start in range(0, messages, _AT_ONCE):
        customers = [f"cus_{n:07d}" for n in range(start, min(messages, start + _AT_ONCE))]
        rows = [
            {
                "customerId": {"S": customer},
                "date": {"S": str(day)},
                "totalStorageBytes": {"N": "1000000"},
                "billingMonth": {"S": str(month)},
                "billingStatus": {"S": "pending"},
            }
            for customer in customers
            for day in month.days
        ]
        stand_in.put("siftbeam-storage-usage-daily", rows)
        stand_in.fill(
            _QUEUE,
            [
                f'{{"kind":"bill_customer_month","version":1,"customerId":"{customer}",'
                f'"billingMonth":"{month}"}}'
                for customer in customers
            ],
        )


def contenders() -> list[Contender]:
    """Ours alone."""
    return [
        Contender(
            OURS,
            [sys.executable, "-m", "worker", "--queue", "monthly-billing"],
            _QUEUE,
            _months,
            {
                "SIFTBEAM_CONCURRENCY": str(CONCURRENCY),
                # On the 1st, Stripe is not asked for invoices; this is so on any day.
                "SIFTBEAM_EVENT_TIMESTAMP": "now",
            },
        )
    ]


def main() -> None:
    """Run and print."""
    asked = arguments(__doc__, rounds=3, messages=2_000)
    with server(ministack=asked.ministack) as stand_in:
        publish(play(contenders(), stand_in, asked), asked, "customer and month")


if __name__ == "__main__":
    main()
