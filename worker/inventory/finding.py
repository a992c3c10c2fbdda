"""What an audit finds: lines that do not agree, and folders that are nobody's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from worker.inventory.manifest import Manifest
    from worker.tables.daily import DailyRow
    from worker.usage import CustomerUsage, Usage


@dataclass(frozen=True, slots=True)
class Line:
    """A customer whose row and inventory do not agree.

    Args:
        customer_id: whose.
        row: of the day; None where there is none.
        listed: by the inventory.
    """

    customer_id: str
    row: DailyRow | None
    listed: CustomerUsage

    @property
    def row_bytes(self) -> int:
        """What is billed."""
        return 0 if self.row is None else self.row.total_bytes

    @property
    def difference(self) -> int:
        """The inventory's bytes over the row's: positive where too little is billed."""
        return self.listed.total_bytes - self.row_bytes


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder under one of the prefixes that is no customer's.

    Args:
        prefix: the whole of it; one of the two prefixes itself for what lies right in it.
        usage: what lies there, unbilled.
    """

    prefix: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Unbilled:
    """The folders that are nobody's.

    Args:
        folders: how many.
        usage: of them all.
        largest: those of them that are named.
    """

    folders: int
    usage: Usage
    largest: Sequence[Folder]


@dataclass(frozen=True, slots=True)
class Findings:
    """What an audit came to.

    Args:
        manifest: of the inventory.
        day: of the rows.
        entries: in the inventory's files.
        agreeing: customers whose row and inventory agree.
        row_bytes: of all rows of the day.
        listed_bytes: of all customers, by the inventory.
        lines: the customers whose do not agree, the largest difference first.
        unbilled: what is nobody's.
        elsewhere: what lies under neither prefix.
    """

    manifest: Manifest
    day: date
    entries: int
    agreeing: int
    row_bytes: int
    listed_bytes: int
    lines: Sequence[Line]
    unbilled: Unbilled
    elsewhere: Usage

    @property
    def clean(self) -> bool:
        """Whether nothing differs and nothing is unbilled."""
        return not self.lines and not self.unbilled.usage.total_bytes
