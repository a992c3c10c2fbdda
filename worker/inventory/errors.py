"""The errors of an audit.

InventoryRefused    the inventory proves nothing: it is incomplete, stale, or of something else
AuditNotInstalled   the optional extra is missing
"""

from __future__ import annotations

from worker.errors import BillingError


class InventoryRefused(BillingError):  # noqa: N818 - says what happened
    """Nothing is compared; the message says what is wrong with the inventory and what to do."""


class AuditNotInstalled(BillingError):  # noqa: N818 - says what is missing
    """DuckDB is not there."""

    def __init__(self) -> None:
        super().__init__("the audit needs DuckDB: pip install 'siftbeam-billing[audit]'")
