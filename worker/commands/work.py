"""``worker``: the consumer."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from producers.queues import Queue
from worker.commands.opening import open_installation

if TYPE_CHECKING:
    from types import FrameType

    from worker.installation import Installation


def work(
    queue: Annotated[
        list[str] | None, typer.Option(help="Only this queue; may be given several times.")
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="End when nothing is visible, in flight or delayed.")
    ] = False,
) -> None:
    """Consume the queues until SIGTERM or SIGINT, or until they are empty."""
    installation = open_installation()
    consumer = installation.consumer(_queues(installation, queue), until_empty=drain)

    def stop(_number: int, _frame: FrameType | None) -> None:
        consumer.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if not consumer.run():
        raise typer.Exit(1)


def _queues(installation: Installation, names: list[str] | None) -> tuple[Queue, ...]:
    try:
        return tuple(dict.fromkeys(installation.queues.named(name) for name in names or Queue))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--queue") from None
