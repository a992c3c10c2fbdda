"""A shell in which remedies are carried out word for word: AWS CLI, Stripe CLI and our own."""

from __future__ import annotations

import functools
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from awscli.clidriver import create_clidriver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest
    from awscli.clidriver import CLIDriver

    from tests.integration.operator import Operator


@functools.cache
def _cli() -> CLIDriver:
    """Made once: it reads every service's model."""
    return create_clidriver()


class Shell:
    """Runs commands in a directory of its own.

    Args:
        operator: whose command line, settings and Stripe key are used.
        patch: sets the environment and the directory for the test.
        directory: where files are.
        set_clock: what switching on NTP does.
        make: what the Makefile's targets do, given the words after `make`.
    """

    def __init__(
        self,
        operator: Operator,
        patch: pytest.MonkeyPatch,
        directory: Path,
        set_clock: Callable[[], None],
        make: Callable[[Sequence[str]], None],
    ) -> None:
        self._operator = operator
        self._patch = patch
        self._set_clock = set_clock
        self._make = make
        patch.chdir(directory)
        # No pager and no profile of the machine's.
        for name in ("AWS_PAGER", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            patch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)

    def run(self, command: str) -> None:
        """Carry out a command; it has to succeed."""
        program, *words = shlex.split(command)
        match program:
            case "aws":
                # Beside the words of the remedy: not every service of the AWS CLI v1 takes it from
                # the environment.
                endpoint = ("--endpoint-url", os.environ["AWS_ENDPOINT_URL"])
                assert _cli().main([*words, *endpoint]) == 0, command
            case "siftbeam-billing":
                ran = self._operator.run(*words, answer="y\n")
                assert ran.code == 0, (command, ran)
            case "stripe":
                self._stripe(words)
            case "make":
                self._make(words)
            case "export":
                name, value = words[0].split("=", 1)
                self._operator.export(name, value)
            case "rm":
                Path(words[0]).unlink()
            case "sudo":
                assert words == ["timedatectl", "set-ntp", "true"]
                self._set_clock()
            case _:
                raise AssertionError(f"no such program: {command}")

    def _stripe(self, words: list[str]) -> None:
        """``stripe post PATH -d NAME=VALUE``: https://docs.stripe.com/cli/post."""
        assert words[0] == "post"
        options, values = words[2::2], words[3::2]
        assert set(options) <= {"-d"}
        client = self._operator.scenario.worker.stripe.keyed_client().client
        fields = dict(value.split("=", 1) for value in values)
        client.raw_request("post", words[1], **fields)
