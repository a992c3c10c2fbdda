"""Gathering: what several handlers ask for at about the same time is asked for once.

Handlers know nothing of one another. Each is a member while it works on a message; where it asks
for something that can be had together with what others ask for, it waits until every other member
waits too, or has waited long enough, and one of them does it for all. So messages that were
received together go through their steps together, a lone message goes through alone, and nothing is
held up for longer than the pause.
"""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

Asked = TypeVar("Asked")
Told = TypeVar("Told")
# Longer than most calls of other members take, and nothing beside a lease or a claim.
LONGEST_PAUSE_SECONDS = 0.25


class Signal(Protocol):
    """What a member waits for. Setting it wakes one wait, the present or the next."""

    def set(self) -> None:
        """Wake who waits."""
        ...

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is set, or so many seconds."""
        ...


class ThreadSignal:
    """A signal between threads. ``threading.Event`` does more, and costs five times as much."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake who waits."""
        with suppress(RuntimeError):  # it is set already
            self._lock.release()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is set, or so many seconds."""
        self._lock.acquire(timeout=-1 if timeout is None else timeout)


class _Waiter(Generic[Asked, Told]):
    """A member that waits for its answer."""

    def __init__(self, asked: Asked, signal: Signal) -> None:
        self.asked = asked
        self.signal = signal
        self.done = False
        self.told: Told | None = None
        self.error: BaseException | None = None


class Gathering(Generic[Asked, Told]):
    """Members that work side by side, and what they ask for.

    Args:
        perform: does what was asked for together; gives an answer to each, in their order.
        pause: the longest that one waits for the others, in seconds.
        signal: makes what a member waits for.
    """

    def __init__(
        self,
        perform: Callable[[Sequence[Asked]], Sequence[Told]],
        *,
        pause: float = LONGEST_PAUSE_SECONDS,
        signal: Callable[[], Signal] = ThreadSignal,
    ) -> None:
        self._perform = perform
        self._pause = pause
        self._signal = signal
        self._at_work = 0
        self._expected = 0
        self._waiting: list[_Waiter[Asked, Told]] = []
        self._lock = threading.Lock()

    def expect(self) -> None:
        """One more member is about to come: whoever asks before that waits for it."""
        with self._lock:
            self._at_work += 1
            self._expected += 1

    def excuse(self) -> None:
        """One who was expected does not come."""
        with self._lock:
            self._expected -= 1
        self._leave()

    @contextmanager
    def member(self) -> Iterator[None]:
        """Work on a message as a member, expected or not."""
        with self._lock:
            if self._expected:
                self._expected -= 1
            else:
                self._at_work += 1
        token = _present.set(self)
        try:
            yield
        finally:
            _present.reset(token)
            self._leave()

    @contextmanager
    def without_one(self) -> Iterator[None]:
        """Wait for no member that is in here."""
        self._leave()
        try:
            yield
        finally:
            with self._lock:
                self._at_work += 1

    def ask(self, asked: Asked) -> Told:
        """Have something done, together with what other members ask for. Only for members.

        Raises:
            Exception: what ``perform`` raised; each who asked gets it.
        """
        waiter: _Waiter[Asked, Told] = _Waiter(asked, self._signal())
        with self._lock:
            self._waiting.append(waiter)
            self._at_work -= 1
            taken = self._take() if self._at_work <= 0 else []
        if not taken:
            waiter.signal.wait(self._pause)
            with self._lock:
                taken = self._take() if waiter in self._waiting else []
        if taken:
            self._perform_for(taken, waiter)
        while not waiter.done:
            waiter.signal.wait()
        if waiter.error is not None:
            raise waiter.error
        return waiter.told  # type: ignore[return-value]  # done without an error: it was told

    def _leave(self) -> None:
        with self._lock:
            self._at_work -= 1
            if self._at_work <= 0 and self._waiting:
                self._waiting[0].signal.set()

    def _take(self) -> list[_Waiter[Asked, Told]]:
        """Everyone who waits: they are at work again."""
        taken, self._waiting = self._waiting, []
        self._at_work += len(taken)
        return taken

    def _perform_for(
        self, taken: Sequence[_Waiter[Asked, Told]], own: _Waiter[Asked, Told]
    ) -> None:
        try:
            answers = self._perform([waiter.asked for waiter in taken])
            for waiter, told in zip(taken, answers, strict=True):
                waiter.told = told
        except BaseException as error:  # noqa: BLE001 - whoever asked is to get it, and go on
            for waiter in taken:
                # An error of its own for each thread: a traceback is written as it is raised.
                waiter.error = error if waiter is own else copy.copy(error)
        for waiter in taken:
            waiter.done = True
            waiter.signal.set()


class _Left(Protocol):
    def without_one(self) -> AbstractContextManager[None]: ...


_present: ContextVar[_Left | None] = ContextVar("gathering", default=None)


def apart() -> AbstractContextManager[None]:
    """Wait here for what another member may hold: nobody waits for this one meanwhile."""
    gathering = _present.get()
    return nullcontext() if gathering is None else gathering.without_one()


class Company(Protocol):
    """Who works side by side in a circle, such as all messages of a queue."""

    def expect(self, circle: str) -> None:
        """One more is about to work in a circle."""
        ...

    def excuse(self, circle: str) -> None:
        """One who was expected does not come."""
        ...

    def member(self, circle: str) -> AbstractContextManager[None]:
        """Work in a circle."""
        ...


class NoCompany:
    """Everybody works alone."""

    def expect(self, circle: str) -> None:
        """Nothing."""

    def excuse(self, circle: str) -> None:
        """Nothing."""

    def member(self, circle: str) -> AbstractContextManager[None]:  # noqa: ARG002 - one for all
        """Nothing."""
        return nullcontext()
