"""Browsing against an SQS that gives a random few, now and then none, and forgets to hide."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from producers.queues import Queue
from worker.consumer.backlog import Count
from worker.dead_letters.browsing import Browsing

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        MessageTypeDef,
    )


class StillClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


class ArbitrarySqs:
    """A standard queue at its least helpful."""

    def __init__(self, seed: int, letters: int, *, reappearing: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a schedule, no secret
        self._lock = threading.Lock()
        self._reappearing = reappearing
        self.visible = {f"m{number}" for number in range(letters)}
        self.hidden: set[str] = set()
        self.receipts = 0

    def receive_message(self, **_: object) -> dict[str, list[MessageTypeDef]]:
        with self._lock:
            self.receipts += 1
            for name in sorted(self.hidden):
                if self._random.random() < self._reappearing:
                    self.hidden.remove(name)
                    self.visible.add(name)
            if self._random.random() < 0.2:
                return {}
            some = self._random.sample(
                sorted(self.visible), min(len(self.visible), self._random.randint(1, 10))
            )
            self.visible.difference_update(some)
            self.hidden.update(some)
            return {
                "Messages": [
                    {"MessageId": name, "ReceiptHandle": name, "Body": "{}"} for name in some
                ]
            }

    def change_message_visibility_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's name
        Entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef],  # noqa: N803 - boto3's name
    ) -> dict[str, list[dict[str, str]]]:
        assert QueueUrl == "url"
        with self._lock:
            for entry in Entries:
                assert entry.get("VisibilityTimeout") == 0
                self.hidden.discard(entry["ReceiptHandle"])
                self.visible.add(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


@pytest.mark.parametrize("reappearing", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(20))
def test_each_letter_once_all_shown_again_and_an_end(seed: int, reappearing: float) -> None:
    sqs = ArbitrarySqs(seed, 300, reappearing=reappearing)
    count = Count(visible=300, in_flight=0, delayed=0)

    with Browsing(
        cast("SQSClient", sqs), Queue.SCHEDULE, "url", count=count, clock=StillClock()
    ) as browsing:
        seen = [letter.message_id for letters in browsing for letter in letters]

    assert len(seen) == len(set(seen))
    assert browsing.sight.seen == len(seen)
    assert browsing.sight.complete is (len(seen) == 300)
    assert len(seen) >= 290
    assert (len(sqs.visible), len(sqs.hidden)) == (300, 0)
    assert sqs.receipts < 1_000
