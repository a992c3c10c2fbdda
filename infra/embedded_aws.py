"""AWS on this machine: the emulator as a child process that never outlives its parent.

Why this emulator: docs/decisions/0002-embedded-aws.md.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

from infra.errors import EmbeddedAwsError

REGION: Final = "ap-northeast-1"

_HOST: Final = "127.0.0.1"
_PORT_ATTEMPTS: Final = 5
_POLL_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 5.0
_LOG_TAIL_LINES: Final = 15
# The emulator reads dozens of variables; only what a process needs to run may reach it by accident.
_INHERITED: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "SYSTEMROOT")


class EmbeddedAws:
    """An emulated AWS account `000000000000` in `ap-northeast-1`, empty at every start.

    Use as a context manager, or call `start` and `stop`. Listens on a free loopback port, needs no
    network, writes its output to a temporary file and keeps its state in memory.
    """

    def __init__(self, *, startup_seconds: float = 30.0) -> None:
        self._startup_seconds = startup_seconds
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None

    @property
    def url(self) -> str:
        """The endpoint of every service, without a trailing slash."""
        if self._process is None:
            raise EmbeddedAwsError("The embedded AWS is not running: call start() first.")
        return f"http://{_HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._process is None else self._process.pid

    def environment(self) -> dict[str, str]:
        """The variables that point any AWS SDK, and this project's CLI, at the emulator.

        See https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html.
        """
        direct = [*filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY")]), _HOST]
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            # SDKs would send loopback traffic to a configured proxy; some read only one spelling.
            "NO_PROXY": ",".join(direct),
            "no_proxy": ",".join(direct),
        }

    def start(self) -> Self:
        """Starts the emulator and returns when it answers.

        Raises:
            EmbeddedAwsError: it is not installed, it ended at start (the message carries the end of
                its log), or it did not answer in time.
        """
        if self._process is not None:
            return self
        if importlib.util.find_spec("ministack") is None:
            raise EmbeddedAwsError(
                "The embedded AWS needs the package ministack, which is not installed. "
                "Install the extra: pip install 'siftbeam-billing[local]'"
            )
        deadline = time.monotonic() + self._startup_seconds
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            try:
                self._launch(_free_port(), deadline)
            except _PortTakenError:
                self.stop()
                if attempt == _PORT_ATTEMPTS:
                    raise
            except BaseException:  # Ctrl-C at start must leave no process behind either.
                self.stop()
                raise
            else:
                break
        return self

    def stop(self) -> None:
        """Ends the emulator and removes its files. Safe to call again."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        directory, self._directory = self._directory, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)

    def __enter__(self) -> Self:
        """Starts the emulator."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the emulator."""
        self.stop()

    def _launch(self, port: int, deadline: float) -> None:
        token = secrets.token_hex(8)
        self._port = port
        self._directory = Path(tempfile.mkdtemp(prefix="siftbeam-aws-"))
        log = self._directory / "emulator.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own file, no input
                # -P: the script's own directory must not shadow the emulator's imports.
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_child_environment(port, token, self._directory),
                # Ctrl-C is for the parent, whose worker still needs AWS while it drains.
                start_new_session=True,
            )
        while not _answers(port, token):
            if self._process.poll() is not None:
                raise _failed_start(self._process.returncode, port, log)
            if time.monotonic() >= deadline:
                raise EmbeddedAwsError(
                    f"The embedded AWS did not answer on {self.url} within "
                    f"{self._startup_seconds:g} s. The end of its log:\n{_tail(log)}"
                )
            time.sleep(_POLL_SECONDS)


class _PortTakenError(EmbeddedAwsError):
    """Somebody took the port between our look and the emulator's bind."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _child_environment(port: int, token: str, directory: Path) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "BIND_HOST": _HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": _HOST,
        "MINISTACK_REGION": REGION,
        # Comes back in the health answer: proof that it is our child who answers on this port.
        "MINISTACK_EDITION": token,
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(directory),
        "HOME": str(directory),
        "STATE_DIR": str(directory),
        # Would listen on fixed ports, where two emulators meet.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # The emulator clears away containers at start; this one has no business with Docker.
        "DOCKER_HOST": f"unix://{directory / 'no-docker.sock'}",
    }


def _answers(port: int, token: str) -> bool:
    connection = HTTPConnection(_HOST, port, timeout=1)
    try:
        connection.request("GET", "/_ministack/health")
        health: object = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(health, dict) and health.get("edition") == token


def _failed_start(code: int, port: int, log: Path) -> EmbeddedAwsError:
    tail = _tail(log)
    taken = "already in use" in tail.lower()
    return (_PortTakenError if taken else EmbeddedAwsError)(
        f"The embedded AWS ended with code {code} while starting on port {port}. "
        f"The end of its log:\n{tail}"
    )


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(the log is empty)"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for escalate in (process.terminate, process.kill):
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            escalate()
    process.wait()


def _serve() -> None:
    """The child: the emulator, until standard input ends, which it does when the parent does."""
    # Imported here because only the child may pay for it, and the parent may lack it.
    from ministack.app import main  # noqa: PLC0415

    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    main()


def _end_with_parent() -> None:
    # os.read: a buffered reader would hold a lock that breaks the interpreter's own shutdown.
    while os.read(0, 1024):
        pass
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    _serve()
