"""A replay order: which letters, and how; as a person gave it and as a manifest keeps it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from producers.queues import Queue
from worker.dead_letters.selection import Selection


class ReplayOrder(BaseModel):
    """Which letters are replayed, and how.

    Args:
        queues: whose dead letters.
        ids: message ids on the dead-letter queue; None for any.
        customer: as in :class:`worker.dead_letters.selection.Selection`, like the next four.
        kind: see there.
        reason: see there.
        older_than: see there.
        newer_than: see there.
        limit: letters to replay, at most; None for no limit.
        per_second: letters a second, at most; None for no limit.
        force: whether letters that cannot succeed are replayed too.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )

    queues: tuple[Queue, ...]
    ids: frozenset[str] | None = None
    customer: str | None = None
    kind: str | None = None
    reason: str | None = None
    older_than: timedelta | None = None
    newer_than: timedelta | None = None
    limit: int | None = Field(None, ge=1)
    per_second: float | None = Field(None, gt=0)
    force: bool = False

    @property
    def selection(self) -> Selection:
        """Which letters."""
        return Selection(
            ids=self.ids,
            customer=self.customer,
            kind=self.kind,
            reason=self.reason,
            older_than=self.older_than,
            newer_than=self.newer_than,
        )

    @property
    def takes_everything(self) -> bool:
        """Whether every letter of the queues is meant, whatever would come of it."""
        return self.selection == Selection() and self.limit is None and self.force

    @property
    def at_once(self) -> int | None:
        """Letters to receive at a time: few where few a second are sent."""
        return None if self.per_second is None else max(1, int(self.per_second))
