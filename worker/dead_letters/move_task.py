"""SQS's own move task: a whole dead-letter queue sent back, by SQS alone.

It looks at no letter: so it serves only where every letter is meant, whatever would come of it. It
moves at most 500 a second, runs 36 hours at most, and goes on without us
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html).
The destination is named: SQS cannot tell the source of a letter that it did not move there itself.
Our six attributes travel along; the worker takes them off should the message die again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from worker.dead_letters.replay_report import Fate, ReplayReport

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef

    from producers.queues import Queue
    from worker.dead_letters.queues import DeadLetterQueues
    from worker.dead_letters.replay_order import ReplayOrder
    from worker.dead_letters.walk import OnSeen

MOST_PER_SECOND = 500
_POLL_SECONDS = 2.0
# A task of messages that come back as fast as they leave would not end before its 36 hours.
_MOST_MOVED = 1.1
_FEW = 100
_MOST_POLLS = 30
_RUNNING = frozenset({"RUNNING", "CANCELLING"})


class NoMoveTask(Exception):  # noqa: N818 - no fault: the replay is done letter by letter
    """SQS, or what stands for it, makes no task of this queue; says why."""


class MoveTask:
    """Sends whole queues back.

    Args:
        queues: the dead-letter queues.
        on_seen: is told how many letters were moved.
    """

    def __init__(self, queues: DeadLetterQueues, on_seen: OnSeen) -> None:
        self._queues = queues
        self._on_seen = on_seen
        self.report = ReplayReport()

    @staticmethod
    def suits(order: ReplayOrder) -> bool:
        """Whether an order asks for what a task does."""
        rate = order.per_second
        return order.takes_everything and (
            rate is None or (rate == int(rate) and rate <= MOST_PER_SECOND)
        )

    def move(self, queue: Queue, order: ReplayOrder) -> None:
        """Send every letter of one queue back, and wait for the end; follows a task that runs.

        Ctrl-C cancels the task; what it has moved stays moved.

        Raises:
            NoMoveTask: no task was made, nothing was moved.
        """
        source = self._arn(self._queues.directory.dead_letter_url(queue))
        try:
            task = self._latest(source)
            runs = task is not None and task.get("Status") in _RUNNING
            if not runs:
                self._start(source, self._arn(self._queues.directory.url(queue)), order)
        except (BotoCoreError, ClientError) as error:
            raise NoMoveTask(str(error)) from None
        try:
            self._follow(queue, source, before=None if runs else task)
        except BaseException:  # Ctrl-C too: a task goes on without its command.
            self._cancel(source)
            raise

    def _start(self, source: str, destination: str, order: ReplayOrder) -> None:
        if order.per_second is None:
            self._queues.sqs.start_message_move_task(SourceArn=source, DestinationArn=destination)
        else:
            self._queues.sqs.start_message_move_task(
                SourceArn=source,
                DestinationArn=destination,
                MaxNumberOfMessagesPerSecond=int(order.per_second),
            )

    def _follow(
        self, queue: Queue, source: str, *, before: ListMessageMoveTasksResultEntryTypeDef | None
    ) -> None:
        moved = 0
        while True:
            task = self._await(source, before)
            so_far = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            self._on_seen(so_far - moved)
            moved = so_far
            if task.get("Status") not in _RUNNING:
                break
            expected = int(task.get("ApproximateNumberOfMessagesToMove", 0))
            if expected and moved > expected * _MOST_MOVED + _FEW and not self.report.stopped:
                self._cancel(source)
                self.report.stopped = (
                    f"{queue}: {moved:,} letters were moved and there were {expected:,}: they come "
                    "back; `dlq list` names the reasons"
                )
            self._queues.clock.sleep(_POLL_SECONDS)
        self.report.count(Fate.REPLAYED, moved)
        status = task.get("Status", "unknown")
        if status != "COMPLETED" and self.report.stopped is None:
            reason = task.get("FailureReason", "no reason given")
            self.report.stopped = f"{queue}: SQS's move task ended as {status}: {reason}"

    def _await(
        self, source: str, before: ListMessageMoveTasksResultEntryTypeDef | None
    ) -> ListMessageMoveTasksResultEntryTypeDef:
        """The task, once SQS lists it; ``before`` is the one that was listed before it began."""
        old = None if before is None else before.get("StartedTimestamp")
        for _ in range(_MOST_POLLS):
            task = self._latest(source)
            if task is not None and task.get("StartedTimestamp") != old:
                return task
            self._queues.clock.sleep(_POLL_SECONDS)
        return {"Status": "unknown", "FailureReason": "SQS does not list it; see the console"}

    def _latest(self, source: str) -> ListMessageMoveTasksResultEntryTypeDef | None:
        found = self._queues.sqs.list_message_move_tasks(SourceArn=source, MaxResults=1)
        return next(iter(found.get("Results", ())), None)

    def _cancel(self, source: str) -> None:
        """Ask SQS to stop; a task that has ended meanwhile cannot be, and need not."""
        try:
            task = self._latest(source)
            handle = None if task is None else task.get("TaskHandle")
            if handle is not None:
                self._queues.sqs.cancel_message_move_task(TaskHandle=handle)
        except (BotoCoreError, ClientError):
            return

    def _arn(self, url: str) -> str:
        answer = self._queues.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]
