"""What the product does on threads, done on fibers; and no word of it in the logs."""

from __future__ import annotations

import logging
import sys
import traceback
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar
from unittest.mock import patch

import structlog

import worker.stripe_api.turns
from tests.simulation.fiber_lock import FiberThreading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

T = TypeVar("T")
S = TypeVar("S")


class InlinePool:
    """A pool without threads: what is submitted is done at once, on the caller's fiber."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function: Callable[[S], T], *given: Iterable[S]) -> Iterator[T]:
        """One after the other."""
        return iter([function(*arguments) for arguments in zip(*given, strict=True)])

    def submit(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """Do it now."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - as a pool keeps it
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None:
        """Nothing is under way."""


@contextmanager
def silenced() -> Iterator[None]:
    """Log nothing but defects and start no threads, for as long as runs are made."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        processors=[_only_defects],
        cache_logger_on_first_use=False,
    )
    try:
        with ExitStack() as patches:
            for name, module in list(sys.modules.items()):
                if name.startswith("worker.") and hasattr(module, "ThreadPoolExecutor"):
                    patches.enter_context(patch.object(module, "ThreadPoolExecutor", InlinePool))
            turns = patch.object(worker.stripe_api.turns, "threading", FiberThreading)
            patches.enter_context(turns)
            yield
    finally:
        structlog.configure(**before)


DEFECTS: list[str] = []
"""What handlers raised without meaning to, in the run under way."""


def _only_defects(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if event.get("action") == "handler_failed":
        DEFECTS.append(traceback.format_exc())
    raise structlog.DropEvent
