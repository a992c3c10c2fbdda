"""SQS's move task, against an SQS that answers as its documentation says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from producers.queues import Queue, QueueDirectory
from worker.dead_letters.move_task import MoveTask, NoMoveTask
from worker.dead_letters.queues import DeadLetterQueues
from worker.dead_letters.replay_order import ReplayOrder
from worker.dead_letters.replay_report import Fate

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

EVERYTHING = ReplayOrder(queues=(Queue.SCHEDULE,), force=True)
Task = dict[str, Any]


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 11, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0


class Sqs:
    """Answers ``ListMessageMoveTasks`` with one state after the other."""

    def __init__(self, *states: Task | None, refuses: bool = False) -> None:
        self._states = list(states)
        self._refuses = refuses
        self.started: list[Task] = []
        self.cancelled: list[str] = []

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803 - boto3's name
        return {"QueueUrl": f"https://sqs/{QueueName}"}

    def get_queue_attributes(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's name
        AttributeNames: list[str],  # noqa: N803 - boto3's name
    ) -> dict[str, dict[str, str]]:
        assert AttributeNames == ["QueueArn"]
        return {"Attributes": {"QueueArn": "arn:" + QueueUrl.rsplit("/", 1)[-1]}}

    def list_message_move_tasks(
        self,
        *,
        SourceArn: str,  # noqa: N803 - boto3's name
        MaxResults: int,  # noqa: N803 - boto3's name
    ) -> dict[str, list[Task]]:
        assert (SourceArn, MaxResults) == ("arn:siftbeam-schedule-dlq", 1)
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return {"Results": [] if state is None else [state]}

    def start_message_move_task(self, **given: object) -> dict[str, str]:
        if self._refuses:
            raise ClientError(
                {"Error": {"Code": "UnsupportedOperation", "Message": "no"}}, "StartMessageMoveTask"
            )
        self.started.append(given)
        return {"TaskHandle": "handle"}

    def cancel_message_move_task(self, *, TaskHandle: str) -> None:  # noqa: N803 - boto3's name
        self.cancelled.append(TaskHandle)


def state(status: str, moved: int, to_move: int = 1_000, started: int = 2) -> Task:
    found = {
        "Status": status,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": to_move,
        "StartedTimestamp": started,
    }
    return found | ({"TaskHandle": "handle"} if status == "RUNNING" else {})


def move(sqs: Sqs, order: ReplayOrder = EVERYTHING) -> tuple[MoveTask, list[int]]:
    client, seen = cast("SQSClient", sqs), list[int]()
    queues = DeadLetterQueues(
        sqs=client, directory=QueueDirectory(client, "siftbeam-"), clock=Clock(), seconds=60
    )
    task = MoveTask(queues, seen.append)
    task.move(Queue.SCHEDULE, order)
    return task, seen


def test_a_whole_queue_goes_back_to_the_queue_it_belongs_to() -> None:
    sqs = Sqs(None, state("RUNNING", 400), state("COMPLETED", 1_000))

    task, seen = move(sqs, EVERYTHING.model_copy(update={"per_second": 50.0}))

    assert sqs.started == [
        {
            "SourceArn": "arn:siftbeam-schedule-dlq",
            "DestinationArn": "arn:siftbeam-schedule",
            "MaxNumberOfMessagesPerSecond": 50,
        }
    ]
    assert task.report.fates == {Fate.REPLAYED: 1_000}
    assert not task.report.failed
    assert seen == [400, 600]


def test_yesterdays_task_is_not_taken_for_todays() -> None:
    yesterday = state("COMPLETED", 9, started=1)
    sqs = Sqs(yesterday, yesterday, state("COMPLETED", 1_000))

    task, _ = move(sqs)

    assert len(sqs.started) == 1
    assert task.report.fates == {Fate.REPLAYED: 1_000}


def test_a_task_that_runs_is_followed_and_no_second_one_begun() -> None:
    sqs = Sqs(state("RUNNING", 10), state("COMPLETED", 1_000))

    task, _ = move(sqs)

    assert sqs.started == []
    assert task.report.moved == 1_000


def test_letters_that_come_back_end_the_task() -> None:
    sqs = Sqs(None, state("RUNNING", 1_500), state("RUNNING", 1_500), state("CANCELLED", 1_510))

    task, _ = move(sqs)

    assert sqs.cancelled == ["handle"]
    assert task.report.failed
    assert "they come back" in str(task.report.stopped)


def test_a_task_that_fails_says_why() -> None:
    failed = state("FAILED", 3) | {"FailureReason": "AWS.SimpleQueueService.AccessDenied"}
    task, _ = move(Sqs(None, failed))

    assert task.report.failed
    assert "AccessDenied" in str(task.report.stopped)


def test_where_there_are_no_tasks_nothing_was_moved() -> None:
    with pytest.raises(NoMoveTask):
        move(Sqs(None, refuses=True))


@pytest.mark.parametrize(
    "change",
    [
        {"force": False},
        {"limit": 3},
        {"customer": "cus_A"},
        {"ids": frozenset({"x"})},
        {"per_second": 0.5},
        {"per_second": 501.0},
    ],
)
def test_a_task_looks_at_no_letter_so_it_serves_only_where_none_need_be_looked_at(
    change: dict[str, object],
) -> None:
    assert MoveTask.suits(EVERYTHING)
    assert not MoveTask.suits(EVERYTHING.model_copy(update=change))
