"""``worker``: the consumer."""

from __future__ import annotations

import signal
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import NoCredentialsError

from producers.queues import Queue
from worker.aws import shorten_ways
from worker.commands.opening import open_installation

if TYPE_CHECKING:
    from types import FrameType

    from worker.consumer.consumer import Consumer
    from worker.installation import Installation


def work(
    queue: Annotated[
        list[str] | None, typer.Option(help="Only this queue; may be given several times.")
    ] = None,
    drain: Annotated[
        bool,
        typer.Option(
            "--drain",
            help="End when nothing is visible, in flight or delayed: a message that waits for its "
            "next attempt, or for Stripe to be back, keeps it running.",
        ),
    ] = False,
) -> None:
    """Consume the queues until SIGTERM or SIGINT, or until they are empty."""
    installation = open_installation()
    # A worker goes on through what passes; that it was given no credentials does not.
    if installation.clients.credentials is None:
        raise NoCredentialsError
    shorten_ways(installation.clients)
    consumer = installation.consumer(
        _queues(installation, queue), until_empty=drain, side_jobs=installation.side_jobs()
    )

    _stop_at_signals(consumer)
    try:
        finished = consumer.run()
    finally:
        installation.metrics.flush()
    if not finished:
        raise typer.Exit(1)


def _stop_at_signals(consumer: Consumer) -> None:
    """Stop a consumer at SIGTERM or SIGINT.

    The handler interrupts the main thread, perhaps while it holds the lock that stopping needs. So
    it only puts a word on a queue that may be put on at any point
    (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put); a thread does the rest.
    """
    asked: SimpleQueue[None] = SimpleQueue()

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.put(None)

    def stop() -> None:
        asked.get()
        consumer.stop()

    threading.Thread(target=stop, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)


def _queues(installation: Installation, names: list[str] | None) -> tuple[Queue, ...]:
    try:
        return tuple(dict.fromkeys(installation.queues.named(name) for name in names or Queue))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--queue") from None
