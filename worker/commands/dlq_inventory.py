"""What ``dlq list`` prints: every reason's count, and the largest groups by customer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from producers.instant import format_instant
from worker.commands.dlq_printing import age, age_seconds, say_what_was_missed, sights
from worker.commands.printing import (
    Cell,
    JsonValue,
    console,
    counted,
    errors,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.dead_letters.inventory import Group, GroupKey, Inventory

_SOON = timedelta(days=2)
_SHOWN_ID = 13


def report_inventory(inventory: Inventory, now: datetime, *, top: int, as_json: bool) -> None:
    """Print an inventory; what is long is cut, and said to be."""
    groups, reasons = inventory.ordered(), inventory.by_reason()
    leaving = inventory.leaving_before(now + _SOON)
    if as_json:
        print_json(
            {
                "letters": inventory.total,
                "reasons": [_to_json(key, group, now, by=()) for key, group in reasons[:top]],
                "reasonsCut": _cut(reasons, top),
                "groups": [
                    _to_json(key, group, now, by=("customer",)) for key, group in groups[:top]
                ],
                "groupsCut": _cut(groups, top),
                "firstKeptUntil": None if leaving is None else format_instant(leaving),
                "queues": sights(inventory.sights),
            }
        )
        return
    if not inventory.total:
        console.print("no dead letters")
    title = counted(inventory.total, "dead letter")
    if len(groups) > max(top, len(reasons)):
        _print(title, reasons, now, top)
        title = f"the largest {top} of {len(groups):,} groups by customer"
    if inventory.total:
        _print(title, groups, now, top, "customer")
    if leaving is not None:
        errors.print(
            f"SQS drops letters after 14 days, the first of these at {format_instant(leaving)}: "
            "replay them, or dlq export them",
            style="yellow",
            soft_wrap=True,
        )
    say_what_was_missed(inventory.sights)


def _print(
    title: str, groups: Sequence[tuple[GroupKey, Group]], now: datetime, top: int, *by: str
) -> None:
    rows: list[tuple[Cell, ...]] = []
    for key, group in groups[:top]:
        customer = (key.customer,) if by else ()
        rows.append(
            (
                key.queue,
                key.kind,
                key.reason,
                *customer,
                group.count,
                age(group.oldest, now),
                group.oldest_id[:_SHOWN_ID],
            )
        )
    print_table(title, ("queue", "kind", "reason", *by, "letters", "oldest", "its id"), rows)
    more = groups[top:]
    if more:
        console.print(
            f"cut: {len(more):,} more groups with {_letters(more):,} letters; "
            "--top N shows more, filters show fewer"
        )


def _cut(groups: Sequence[tuple[GroupKey, Group]], top: int) -> JsonValue:
    return {"groups": len(groups[top:]), "letters": _letters(groups[top:])}


def _letters(groups: Sequence[tuple[GroupKey, Group]]) -> int:
    return sum(group.count for _, group in groups)


def _to_json(key: GroupKey, group: Group, now: datetime, *, by: Sequence[str]) -> JsonValue:
    customer: dict[str, JsonValue] = {"customer": key.customer} if by else {}
    return {
        "queue": key.queue,
        "kind": key.kind,
        "reason": key.reason,
        **customer,
        "count": group.count,
        "oldest": format_instant(group.oldest),
        "oldestAgeSeconds": age_seconds(group.oldest, now),
        "oldestId": group.oldest_id,
        "keptUntil": format_instant(group.kept_until),
    }
