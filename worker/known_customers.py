"""Whether anybody has heard of a customer: a mistyped id is to bill nobody, and to say so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.ledger.fact import FactKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.ledger.store import Ledger
    from worker.tables.daily import DailyTable

_EVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class KnownCustomers:
    """Looks a customer up wherever one can have left a trace.

    Somebody whom the application has removed is still known by their rows and facts, and somebody
    who has just come by the source alone.

    Args:
        daily: the daily rows.
        ledger: the facts.
        listed: asks the source of customers for one; the last to be asked, for it may be Stripe.
        source: that source's name.
    """

    def __init__(
        self, daily: DailyTable, ledger: Ledger, listed: Callable[[str], bool], source: str
    ) -> None:
        self._daily = daily
        self._ledger = ledger
        self._listed = listed
        self._source = source

    def problem(self, customer_id: str) -> str | None:
        """Where a customer was looked for in vain; None where there is a trace of them.

        Raises:
            StripeUnavailable: the source is Stripe, and it did not answer.
        """
        if (
            self._daily.has_rows(customer_id)
            or any(
                any(self._ledger.stamped_between(customer_id, kind, *_EVER)) for kind in FactKind
            )
            or self._listed(customer_id)
        ):
            return None
        return (
            f"there is no customer {customer_id!r}: not in {self._source}, and neither a daily row "
            "nor a billing fact is theirs"
        )
