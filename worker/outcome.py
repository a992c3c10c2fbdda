"""What becomes of a message: done, again later, or dead-lettered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Done:
    """Finished: the message is deleted.

    ``note`` says in a word or two what was done, for the log.
    """

    note: str = "done"


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: the message becomes visible again.

    Args:
        reason: what stood in the way, for the log and, at the last attempt, the dead letter.
        after: seconds until then; None leaves it to the consumer's back-off.
        limited: whether the consumer's own limit of attempts applies. A wait that the handler
            bounds itself (a claim held elsewhere, a run in progress) is not limited.
    """

    reason: str
    after: float | None = None
    limited: bool = True


def _nothing() -> None:
    """What most dead letters ask for once they are kept."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Never: the message goes to the dead-letter queue with this reason.

    Args:
        reason: what happened and what to do, for a person.
        error_type: a name to group by.
        when_kept: done once SQS has the letter, and only then; a process that dies in between does
            it never.
    """

    reason: str
    error_type: str = "Permanent"
    when_kept: Callable[[], None] = field(default=_nothing, compare=False, repr=False)


Outcome = Done | Retry | DeadLetter
