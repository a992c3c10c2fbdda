"""A contender: a program that empties a queue, and what it takes to do so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from bench.serving import Server

_LOOK_SECONDS = 0.05
_MIB = 1024 * 1024


class ContenderFailed(RuntimeError):  # noqa: N818 - says what happened
    """A contender ended by itself, or did not come to an end; carries the end of what it said."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that takes messages off a queue.

    Args:
        name: as the table shows it.
        command: what starts it.
        queue: the full name of the queue that it empties.
        fill: puts that many messages of its own format on the queue.
        environment: what it needs besides AWS's variables.
        needs: a folder that it cannot do without, if any.
    """

    name: str
    command: Sequence[str]
    queue: str
    fill: Callable[[Server, int], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Path | None = None

    @property
    def missing(self) -> str | None:
        """What of it is not on this machine; None where it can run."""
        if shutil.which(self.command[0]) is None:
            return self.command[0]
        return None if self.needs is None or self.needs.is_dir() else str(self.needs)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a contender took, per message.

    Args:
        cpu_ms: processor time of its processes, user and system, in milliseconds.
        per_second: messages a second.
        calls: calls by operation.
        peak_mib: the most memory that it held (resident), MiB.
    """

    cpu_ms: float
    per_second: float
    calls: Mapping[str, float]
    peak_mib: float

    def calls_of(self, *services: str) -> float:
        """Calls a message of those services."""
        return sum(n for name, n in self.calls.items() if name.split()[0] in services)


def measure(
    contender: Contender, stand_in: Server, *, warm_up: int, measured: int, limit: float = 300.0
) -> Figures:
    """Let a contender work through a full queue and look at a stretch in the middle of it.

    Args:
        contender: who.
        stand_in: where.
        warm_up: messages before the stretch begins.
        measured: messages of the stretch; as many more lie behind them as four receipts take.
        limit: seconds after which it has failed.

    Raises:
        ContenderFailed: it ended, or took longer than it may.
    """
    stand_in.reset()
    contender.fill(stand_in, warm_up + measured + max(400, measured // 10))
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            contender.command,
            env={**os.environ, **stand_in.environment(), **contender.environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _give_one_core(process.pid)
            watch = _Watch(contender, stand_in, process, output, time.monotonic() + limit)
            begin = watch.until_deleted(warm_up)
            end = watch.until_deleted(warm_up + measured)
        finally:
            _end(process)
    messages = end.deleted - begin.deleted
    return Figures(
        cpu_ms=(end.cpu_seconds - begin.cpu_seconds) * 1000 / messages,
        per_second=messages / (end.at - begin.at),
        calls={
            name: (count - begin.counts.get(name, 0)) / messages
            for name, count in end.counts.items()
            if count > begin.counts.get(name, 0)
        },
        peak_mib=watch.peak_bytes / _MIB,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    deleted: int
    cpu_seconds: float
    counts: Mapping[str, int]


class _Watch:
    def __init__(
        self,
        contender: Contender,
        stand_in: Server,
        process: subprocess.Popen[bytes],
        output: IO[str],
        deadline: float,
    ) -> None:
        self._contender = contender
        self._stand_in = stand_in
        self._process = process
        self._output = output
        self._deadline = deadline
        self.peak_bytes = 0

    def until_deleted(self, messages: int) -> _Look:
        while True:
            cpu_seconds = self._processes()
            at, state = time.monotonic(), self._stand_in.state()
            deleted = state.deleted.get(self._contender.queue, 0)
            if deleted >= messages:
                return _Look(at, deleted, cpu_seconds, state.counts)
            if self._process.poll() is not None or at > self._deadline:
                self._output.seek(0)
                raise ContenderFailed(
                    f"{self._contender.name} deleted {deleted} of {messages} messages: "
                    f"{self._output.read()[-3000:]}"
                )
            time.sleep(_LOOK_SECONDS)

    def _processes(self) -> float:
        """Processor seconds of all its processes so far; notes their memory."""
        seconds, held = 0.0, 0
        try:
            first = psutil.Process(self._process.pid)
            for process in (first, *first.children(recursive=True)):
                times = process.cpu_times()
                seconds += times.user + times.system
                held += process.memory_info().rss
        except psutil.NoSuchProcess:
            return seconds
        self.peak_bytes = max(self.peak_bytes, held)
        return seconds


def _give_one_core(pid: int) -> None:
    """Keep a process that has just begun, and what it starts, to one core; a task of ours has less.

    Not where the system lets nobody choose.
    """
    if sys.platform == "linux":
        os.sched_setaffinity(pid, {max(os.sched_getaffinity(0))})


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        family = [
            process.pid,
            *(c.pid for c in psutil.Process(process.pid).children(recursive=True)),
        ]
    except psutil.NoSuchProcess:
        family = []
    for pid in family:
        try:
            psutil.Process(pid).kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
