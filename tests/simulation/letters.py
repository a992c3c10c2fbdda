"""Dead letters of facts: whether a person is told of each that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.guard import COUNTED, STUCK
from worker.dead_letter import read_dead_letter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.simulation.guard import Guard
    from tests.simulation.operators import Item
    from tests.simulation.sqs import SQS, Stored
    from tests.simulation.tables import Key

_ENDED = (COUNTED - {"sent"}) | {"skipped"}


class Letters:
    """Dead letters, and the facts that they tell of.

    Args:
        guard: knows since when facts stand still.
        sqs: the queues.
    """

    def __init__(self, guard: Guard, sqs: SQS) -> None:
        self._guard = guard
        self._sqs = sqs

    def check(self, key: str, item: Item) -> None:
        """A fact that stands still has a letter that says so, there or long forgotten by SQS."""
        kept = [
            letter
            for name, queue in self._sqs.queues.items()
            if name.endswith("-dlq")
            for letter in (*queue.messages.values(), *queue.expired)
        ]
        if item["state"]["S"] in STUCK and not self._told(key, item, kept):
            text = f"{item['state']['S']}, and no letter says so"
            self._guard.report("who stands still is told of", key, text)

    def may_lose(self, body: str, facts: Mapping[Key, Item]) -> bool:
        """Whether a message is about a fact that the ledger still has to bring to an end."""
        return any(
            "state" in item
            and asks_for(body, item)
            and item["state"]["S"] not in _ENDED
            and not self._told(key, item, self._sqs.letters)
            for (key,), item in list(facts.items())
        )

    def _told(self, key: str, item: Item, letters: Iterable[Stored]) -> bool:
        since, wanted = self._guard.stuck_since.get(key), str(item["state"]["S"]).capitalize()
        for letter in letters:
            if since is not None and letter.sent_at >= since and asks_for(letter.body, item):
                death, _ = read_dead_letter(letter.attributes)  # type: ignore[arg-type]  # the same shape
                if death is not None and death.error_type == wanted:
                    return True
        return False


def asks_for(body: str, item: Item) -> bool:
    """Whether a message is about a fact."""
    return all(word in body for word in _words(item))


def _words(item: Item) -> tuple[str, ...]:
    if "corrects" in item:
        return (f'"{item["fact"]["S"]}"',)
    if item["kind"]["S"] == "file_processed":
        return (f"/{item['subject']['S']}/",)
    return f'"{item["customerId"]["S"]}"', f'"{item["subject"]["S"]}"'
