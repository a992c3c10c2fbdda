"""The outbox against a client that refuses what it is told to refuse."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, cast

import pytest

from producers.outbox import EnqueueFailed, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_sqs import SQSClient

URL = "https://sqs.example/queue"
Entry = dict[str, str]
Refusal = dict[str, str | bool]


class Refusing:
    """Takes batches; `refuse` says of an entry and its attempt whether it fails."""

    def __init__(self, refuse: Callable[[Entry, int], Refusal | None]) -> None:
        self._refuse = refuse
        self._lock = threading.Lock()
        self._attempts: dict[str, int] = {}
        self.taken: list[str] = []
        self.sizes: list[int] = []

    def send_message_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's names
        Entries: list[Entry],  # noqa: N803 - boto3's names
    ) -> dict[str, list[Refusal]]:
        assert QueueUrl == URL
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        failed: list[Refusal] = []
        with self._lock:
            self.sizes.append(len(Entries))
            for entry in Entries:
                body = entry["MessageBody"]
                self._attempts[body] = self._attempts.get(body, 0) + 1
                refusal = self._refuse(entry, self._attempts[body])
                if refusal is None:
                    self.taken.append(body)
                else:
                    failed.append({"Id": entry["Id"], **refusal})
        return {"Failed": failed} if failed else {}


def outbox(client: Refusing, slept: list[float], in_flight: int = 8) -> Outbox:
    return Outbox(cast("SQSClient", client), sleep=slept.append, in_flight=in_flight)


def throttled(_: Entry, attempt: int) -> Refusal | None:
    return {"Code": "Throttled", "SenderFault": False} if attempt < 3 else None


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize("count", [0, 1, 10, 11, 235])
def test_every_body_is_sent_once_by_tens(count: int, in_flight: int) -> None:
    client = Refusing(lambda _entry, _attempt: None)
    bodies = [f"body {number}" for number in range(count)]

    assert outbox(client, [], in_flight).send(URL, bodies) == count

    assert sorted(client.taken) == sorted(bodies)
    assert max(client.sizes, default=0) <= 10


def test_entries_that_failed_are_sent_again_and_no_others() -> None:
    client = Refusing(lambda entry, n: throttled(entry, n) if entry["MessageBody"] < "3" else None)
    slept: list[float] = []
    bodies = [str(number) for number in range(10)]

    assert outbox(client, slept, in_flight=1).send(URL, bodies) == 10

    assert sorted(client.taken) == bodies
    assert client.sizes == [10, 3, 3]
    assert slept == sorted(slept)
    assert len(slept) == 2


def test_what_is_refused_for_good_raises_at_once() -> None:
    client = Refusing(
        lambda entry, _: (
            {"Code": "InvalidMessageContents", "SenderFault": True}
            if entry["MessageBody"] == "bad"
            else None
        )
    )
    slept: list[float] = []

    with pytest.raises(EnqueueFailed, match="InvalidMessageContents"):
        outbox(client, slept).send(URL, ["good", "bad"])
    assert slept == []
    assert client.taken == ["good"]


def test_what_is_refused_again_and_again_raises_and_says_how_much() -> None:
    client = Refusing(
        lambda entry, _: (
            {"Code": "InternalError", "SenderFault": False}
            if entry["MessageBody"] in {"a", "b"}
            else None
        )
    )

    with pytest.raises(EnqueueFailed, match=r"took 1 of 3 .*InternalError"):
        outbox(client, []).send(URL, ["a", "b", "c"])


def test_bodies_are_taken_as_they_are_sent() -> None:
    made = itertools.count()
    client = Refusing(lambda _entry, _attempt: None)
    ahead: list[int] = []

    def bodies() -> Iterator[str]:
        for _ in range(1_000):
            number = next(made)
            ahead.append(number - len(client.taken))
            yield str(number)

    assert outbox(client, [], in_flight=2).send(URL, bodies()) == 1_000
    assert max(ahead) <= 10 * 4
