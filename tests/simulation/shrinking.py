"""Shrinking: the fewest faults, customers, runs and decisions with which a seed still fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.history import instant_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from tests.simulation.run import Result

    class Runs(Protocol):
        """Runs a seed without some of its parts."""

        def __call__(self, without: frozenset[str], *, record: bool = False) -> Result: ...


_SHOWN = 150


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A failing run with nothing in it that it does not need.

    Args:
        result: what came of it, with its history.
        without: the names of what was left out.
        tried: how many runs it took to find.
    """

    result: Result
    without: frozenset[str]
    tried: int

    def lines(self) -> Iterator[str]:
        """The schedule and the history, as a person reads them."""
        result = self.result
        violation = result.violations[0]
        yield f"seed {result.seed} without {len(self.without)} parts ({self.tried} runs tried):"
        for name, at in result.parts.items():
            yield f"  {name}" + (f" at {instant_text(at)}" if at else "")
        yield "history:"
        yield from result.history.lines(subject_of(violation.about))[-_SHOWN:]
        yield f"seed {result.seed}: {violation}"


class Shrinking:
    """Looks for the least that still breaks the same rule.

    Args:
        run: runs the seed without what it is given.
        rule: the rule.
        most: how many runs may be tried.
    """

    def __init__(self, run: Runs, rule: str, most: int = 400) -> None:
        self._run = run
        self._rule = rule
        self._most = most
        self._tried = 0
        self._without: frozenset[str] = frozenset()

    def shrink(self, failed: Result) -> Shrunk:
        """Leave out what can be: whole kinds and people first, single faults then."""
        parts = self._reduce(list(failed.parts), single=False)
        self._reduce(parts, single=True)
        return Shrunk(self._run(self._without, record=True), self._without, self._tried)

    def _reduce(self, parts: list[str], *, single: bool) -> list[str]:
        size = len(parts)
        while size > 0 and self._tried < self._most:
            at = 0
            while self._tried < self._most:
                chosen = [name for name in parts if ("/" in name) is single]
                chunk = frozenset(chosen[at : at + size])
                if not chunk:
                    break
                left = self._without_too(chunk)
                if left is None:
                    at += size
                else:
                    parts = left
            size //= 2
        return parts

    def _without_too(self, chunk: frozenset[str]) -> list[str] | None:
        """The parts of the run without some more, if it still fails; None if it holds."""
        self._tried += 1
        result = self._run(self._without | chunk)
        if not result.violations or result.violations[0].rule != self._rule:
            return None
        self._without |= chunk
        return list(result.parts)


def subject_of(about: str) -> str:
    """The run or the customer that a violation is about."""
    words = about.replace("#", " ").split()
    return words[1] if len(words) > 1 else about
