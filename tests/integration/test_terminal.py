"""The console script on a terminal: in place, in colour unless told otherwise, and completed."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.scenario import Scenario

SCRIPT = Path(sys.executable).parent / "siftbeam-billing"
SECONDS = 60
# Standard and bright colours, as escapes set them; bold and italics are none.
COLOUR = re.compile(r"\x1b\[(?:\d+;)*[39][0-7](?:;\d+)*m")
UP = "\x1b[1A"


class Terminal:
    """The script with a terminal for its three streams."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(  # noqa: S603 - our own script
            [str(SCRIPT), *arguments],
            env={**environment, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.shown = ""

    def until(self, seen: Callable[[str], bool]) -> None:
        """Read until something is shown, or nothing more comes."""
        deadline = time.monotonic() + SECONDS
        while not seen(self.shown):
            assert time.monotonic() < deadline, self.shown
            if not select.select([self._ours], [], [], 0.1)[0]:
                continue
            try:
                read = os.read(self._ours, 65536)
            except OSError:  # Linux ends a terminal whose other side is closed so.
                return
            self.shown += read.decode()

    def ended(self) -> int:
        """Its exit code, everything it said read."""
        self.until(lambda _: False)
        return self.process.wait(SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        os.close(self._ours)


@pytest.fixture
def terminal(scenario: Scenario) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(*arguments: str, **environment: str) -> Terminal:
        surroundings = scenario.environment(**environment)
        if "NO_COLOR" not in environment:
            surroundings.pop("NO_COLOR", None)
        made.append(Terminal(list(arguments), surroundings))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_the_status_updates_in_place_until_ctrl_c(terminal: Callable[..., Terminal]) -> None:
    status = terminal("status", "--every", "0.5")

    status.until(lambda shown: shown.count(" UTC") >= 3)
    status.process.send_signal(signal.SIGINT)

    assert status.ended() == 0
    assert UP in status.shown
    assert COLOUR.search(status.shown)
    assert "Traceback" not in status.shown


def test_no_color_is_heeded(terminal: Callable[..., Terminal]) -> None:
    status = terminal("status", "--once", NO_COLOR="1")

    assert status.ended() == 0
    assert "daily-sizing" in status.shown
    assert COLOUR.search(status.shown) is None


def test_the_shell_completes_commands_and_options() -> None:
    def completed(words: str) -> set[str]:
        ended = subprocess.run(  # noqa: S603 - our own script
            [str(SCRIPT)],
            env={
                **os.environ,
                "_SIFTBEAM_BILLING_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(words.count(" ")),
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return set(ended.stdout.split())

    assert completed("siftbeam-billing en") == {"enqueue"}
    assert {"--month", "--customer", "--html", "--json"} <= completed("siftbeam-billing report --")
