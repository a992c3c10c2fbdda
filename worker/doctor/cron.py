"""EventBridge's cron expressions, as far as a monthly schedule needs them.

Six fields, UTC: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cron-expressions.html
"""

from __future__ import annotations

import re
from datetime import timedelta

_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_SHORTEST_MONTH = 28
_PART = re.compile(r"(?P<low>\*|[0-9]+)(?:-(?P<high>[0-9]+))?(?:/(?P<step>[0-9]+))?")


def first_of_month(expression: str) -> timedelta | None:
    """How long after a month has begun the schedule first comes.

    None where it does not come in every month, or by weekdays, or cannot be read.
    """
    match = _CRON.fullmatch(expression.strip())
    if match is None:
        return None
    minute, hour, day, *rest = match.groups()
    if rest not in (["*", "?", "*"], ["*", "*", "*"]):
        return None
    minutes, hours, days = values(minute, 0, 59), values(hour, 0, 23), values(day, 1, 31)
    if not minutes or not hours or not days or min(days) > _SHORTEST_MONTH:
        return None
    return timedelta(days=min(days) - 1, hours=min(hours), minutes=min(minutes))


def values(field: str, lowest: int, highest: int) -> frozenset[int]:
    """The numbers that a field names; empty where it uses what is not read here (``L W #``)."""
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            return frozenset()
        every, step = match["low"] == "*", int(match["step"] or 1)
        low = lowest if every else int(match["low"])
        # "1/10" counts on to the end, "1" is itself alone.
        high = int(match["high"] or (highest if every or match["step"] else low))
        if step < 1 or not lowest <= low <= high <= highest:
            return frozenset()
        found.update(range(low, high + 1, step))
    return frozenset(found)
