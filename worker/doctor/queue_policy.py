"""Whether a queue's policy lets EventBridge's rules send.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_EVENTBRIDGE = "events.amazonaws.com"
# S3 sends by itself where the bucket notifies the queue without EventBridge between.
_S3 = "s3.amazonaws.com"
_SENDS = frozenset({"*", "sqs:*", "sqs:sendmessage"})


def rules_shut_out(policy: str, rules: Mapping[str, str]) -> tuple[str, ...]:
    """The rules that may not send; none where S3 may.

    A condition that is not about the sender is taken as met.

    Args:
        policy: as the queue has it, JSON or empty.
        rules: by name, each rule's ARN.
    """
    try:
        allowed = list(_allowed(json.loads(policy or "{}")))
    except (ValueError, AttributeError, TypeError):
        return tuple(rules)
    if any(_S3 in _services(statement) for statement in allowed):
        return ()
    from_events = [each for each in allowed if _EVENTBRIDGE in _services(each)]
    return tuple(
        name
        for name, arn in rules.items()
        if not any(_lets(statement, arn) for statement in from_events)
    )


def _allowed(policy: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    for statement in _several(policy.get("Statement")):
        if (
            isinstance(statement, dict)
            and statement.get("Effect") == "Allow"
            and _SENDS & {str(action).lower() for action in _several(statement.get("Action"))}
        ):
            yield statement


def _services(statement: Mapping[str, object]) -> Sequence[object]:
    principal = statement.get("Principal")
    return _several(principal.get("Service")) if isinstance(principal, dict) else ()


def _lets(statement: Mapping[str, object], arn: str) -> bool:
    """Whether what it says of the sender's ARN and account holds for a rule."""
    said = {"aws:sourcearn": arn, "aws:sourceaccount": arn.split(":")[4]}
    conditions = statement.get("Condition")
    for operator, keys in conditions.items() if isinstance(conditions, dict) else ():
        negated = "Not" in operator
        for key, wanted in keys.items():
            ours = said.get(key.lower())
            if ours is not None and negated is any(
                fnmatchcase(ours, str(each)) for each in _several(wanted)
            ):
                return False
    return True


def _several(value: object) -> Sequence[object]:
    """IAM writes one of a list without the list."""
    return value if isinstance(value, list) else [] if value is None else [value]
