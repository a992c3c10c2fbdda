"""Gathering: what several handlers ask for at about the same time is asked for once.

Handlers know nothing of one another. Each is a member while it works on a message; where it asks
for something that can be had together with what others ask for, it waits until every other member
waits too, or has waited long enough, and one of them does it for all. So messages that were
received together go through their steps together, and a lone message goes through alone.

Every wait is bounded. A member that has long been busy (with a large listing, say) is not waited
for at all, so it holds nobody up; and who never hears what became of what it asked for gives up.
"""

from __future__ import annotations

import copy
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from worker.errors import Temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

Asked = TypeVar("Asked")
Told = TypeVar("Told")
# Longer than most calls of other members take, and nothing beside a lease or a claim.
LONGEST_PAUSE_SECONDS = 0.25
# Who has been at work for so many pauses may be for many more.
_BUSY_AFTER_PAUSES = 4
# Longer than a call is tried at most: five times, ten seconds for an answer, twenty in between.
LONGEST_ANSWER_SECONDS = 180.0


class Unanswered(Temporary):
    """Who was to ask for all has not come back: it may have been done, or be done yet, or not."""


class Signal(Protocol):
    """What a member waits for. Setting it wakes one wait, the present or the next."""

    def set(self) -> None:
        """Wake who waits."""
        ...

    def wait(self, timeout: float) -> None:
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

    def wait(self, timeout: float) -> None:
        """Wait until it is set, or so many seconds."""
        self._lock.acquire(timeout=timeout)


class _Waiter(Generic[Asked, Told]):
    """What a member asked for, and what it is told."""

    def __init__(self, asked: Asked, member: Member[Asked, Told], signal: Signal) -> None:
        self.asked = asked
        self.member = member
        self.signal = signal
        self.done = False
        self.told: Told | None = None
        self.error: BaseException | None = None


class Member(Generic[Asked, Told]):
    """Who works on a message."""

    def __init__(self, gathering: Gathering[Asked, Told]) -> None:
        self._gathering = gathering

    def ask(self, asked: Asked) -> Told:
        """Have something done, together with what other members ask for.

        Raises:
            Unanswered: nothing was heard of it.
            Exception: what ``perform`` raised; each who asked gets it.
        """
        return self._gathering.ask(self, asked)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody waits for this member in here."""
        self._gathering.leave(self)
        try:
            yield
        finally:
            self._gathering.enter(self)


class Gathering(Generic[Asked, Told]):
    """Members that work side by side, and what they ask for.

    Args:
        perform: does what was asked for together; gives an answer to each, in their order.
        pause: the longest that one waits for the others, in seconds.
        answer: the longest that one waits for an answer, in seconds.
        monotonic: seconds that pass.
        signal: makes what a member waits for.
    """

    def __init__(
        self,
        perform: Callable[[Sequence[Asked]], Sequence[Told]],
        *,
        pause: float = LONGEST_PAUSE_SECONDS,
        answer: float = LONGEST_ANSWER_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        signal: Callable[[], Signal] = ThreadSignal,
    ) -> None:
        self._perform = perform
        self._pause = pause
        self._busy_after = _BUSY_AFTER_PAUSES * pause
        self._answer = answer
        self._monotonic = monotonic
        self._signal = signal
        # Since when each is at work, the latest last.
        self._at_work: dict[Member[Asked, Told], float] = {}
        self._expected: list[Member[Asked, Told]] = []
        self._waiting: list[_Waiter[Asked, Told]] = []
        self._lock = threading.Lock()

    def expect(self) -> None:
        """One more member is about to come: whoever asks before that waits for it."""
        member = Member(self)
        with self._lock:
            self._expected.append(member)
            self._at_work[member] = self._monotonic()

    def excuse(self) -> None:
        """One who was expected does not come."""
        with self._lock:
            member = self._expected.pop()
        self.leave(member)

    @contextmanager
    def member(self) -> Iterator[Member[Asked, Told]]:
        """Work on a message as a member, expected or not."""
        with self._lock:
            member = self._expected.pop() if self._expected else Member(self)
        self.enter(member)
        token = _present.set(member)
        try:
            yield member
        finally:
            _present.reset(token)
            self.leave(member)

    def enter(self, member: Member[Asked, Told]) -> None:
        """A member is at work, from now on."""
        with self._lock:
            self._works(member)

    def leave(self, member: Member[Asked, Told]) -> None:
        """A member is at work no more."""
        with self._lock:
            self._at_work.pop(member, None)
            if self._waiting and self._worth_waiting() <= 0:
                self._waiting[0].signal.set()

    def ask(self, member: Member[Asked, Told], asked: Asked) -> Told:
        """Have something done for a member; see :meth:`Member.ask`."""
        waiter = _Waiter(asked, member, self._signal())
        with self._lock:
            self._at_work.pop(member, None)
            self._waiting.append(waiter)
            pause = self._worth_waiting()
            taken = self._take() if pause <= 0 else []
        if not taken:
            waiter.signal.wait(pause)
            with self._lock:
                taken = self._take() if waiter in self._waiting else []
        if taken:
            self._perform_for(taken)
        else:
            self._await(waiter)
        if waiter.error is not None:
            raise _own(waiter.error)
        return waiter.told  # type: ignore[return-value]  # done without an error: it was told

    def _works(self, member: Member[Asked, Told]) -> None:
        self._at_work.pop(member, None)
        self._at_work[member] = self._monotonic()

    def _worth_waiting(self) -> float:
        """How long the others are worth waiting for: as long as the last may still be at work."""
        if not self._at_work:
            return 0.0
        latest = next(reversed(self._at_work.values()))
        return min(self._pause, latest + self._busy_after - self._monotonic())

    def _take(self) -> list[_Waiter[Asked, Told]]:
        """Everyone who waits: they are at work again."""
        taken, self._waiting = self._waiting, []
        for waiter in taken:
            self._works(waiter.member)
        return taken

    def _perform_for(self, taken: Sequence[_Waiter[Asked, Told]]) -> None:
        try:
            answers = self._perform([waiter.asked for waiter in taken])
            for waiter, told in zip(taken, answers, strict=True):
                waiter.told = told
        except BaseException as error:  # noqa: BLE001 - whoever asked is to get it, and go on
            for waiter in taken:
                waiter.error = error
        with self._lock:
            for waiter in taken:
                if waiter.member in self._at_work:
                    self._works(waiter.member)
        for waiter in taken:
            waiter.done = True
            waiter.signal.set()

    def _await(self, waiter: _Waiter[Asked, Told]) -> None:
        """Wait for what another member asks for, for all."""
        until = self._monotonic() + self._answer
        while not waiter.done:
            left = until - self._monotonic()
            if left <= 0:
                raise Unanswered(f"DynamoDB was not heard of for {self._answer:.0f} s")
            waiter.signal.wait(left)


def _own(error: BaseException) -> BaseException:
    """An error for one thread alone: its traceback is written as it is raised."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - some cannot be copied; then all share one
        return error


class _Away(Protocol):
    def away(self) -> AbstractContextManager[None]: ...


_present: ContextVar[_Away | None] = ContextVar("member", default=None)


def apart() -> AbstractContextManager[None]:
    """Wait here for what another member may hold: nobody waits for this one meanwhile."""
    member = _present.get()
    return nullcontext() if member is None else member.away()
