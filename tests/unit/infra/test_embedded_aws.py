"""The emulator as a process: it comes up or says why not, and it never stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import infra.embedded_aws
from infra.embedded_aws import EmbeddedAws
from infra.errors import EmbeddedAwsError

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 20.0


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Whoever adopts an orphan may take its time to bury it.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def listens(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def pretend_emulator(directory: Path, monkeypatch: pytest.MonkeyPatch, main: str) -> None:
    """A package of the emulator's name, found first by the child."""
    package = directory / "path" / "ministack"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "app.py").write_text(f"def main():\n    {main}\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setattr("tempfile.tempdir", str(directory))


def left_behind(directory: Path) -> list[Path]:
    return list(directory.glob("siftbeam-aws-*"))


def test_it_listens_on_loopback_only_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    aws = EmbeddedAws().start()
    try:
        url, pid = aws.url, aws.pid
        assert pid is not None
        assert url.startswith("http://127.0.0.1:")
        assert listens(url)
        assert aws.start() is aws
        assert aws.pid == pid
    finally:
        aws.stop()

    assert not runs(pid)
    assert not listens(url)
    assert not left_behind(tmp_path)
    aws.stop()
    with pytest.raises(EmbeddedAwsError, match="start"):
        _ = aws.url


def test_the_environment_points_an_sdk_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    with EmbeddedAws() as aws:
        assert aws.environment() == {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": "ap-northeast-1",
            "AWS_DEFAULT_REGION": "ap-northeast-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "NO_PROXY": "intranet.example,127.0.0.1",
            "no_proxy": "intranet.example,127.0.0.1",
        }


def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import time; from infra.embedded_aws import EmbeddedAws\n"
        "aws = EmbeddedAws().start()\n"
        "print(aws.pid, aws.url, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(  # noqa: S603 - the script above
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as parent:
        assert parent.stdout is not None
        pid, url = parent.stdout.readline().split()
        assert listens(url)
        parent.send_signal(signal.SIGKILL)

    assert eventually(lambda: not runs(int(pid)))
    # Its threads may still be ending when the process no longer counts as running.
    assert eventually(lambda: not listens(url))
    assert eventually(lambda: not left_behind(tmp_path))


def test_it_stops_when_the_body_fails() -> None:
    aws = EmbeddedAws()
    pid = None

    def body() -> None:
        nonlocal pid
        with aws:
            pid = aws.pid
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()

    assert pid is not None
    assert not runs(pid)


def test_a_port_that_is_taken_meanwhile_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken: int = squatter.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as another:
            ports = iter([taken, another.getsockname()[1]])
        monkeypatch.setattr(infra.embedded_aws, "_free_port", lambda: next(ports))
        with EmbeddedAws() as aws:
            assert not aws.url.endswith(f":{taken}")
            assert listens(aws.url)


def test_without_a_free_port_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken: int = squatter.getsockname()[1]
        monkeypatch.setattr(infra.embedded_aws, "_free_port", lambda: taken)
        with pytest.raises(EmbeddedAwsError, match=rf"on port {taken}\.(?s:.*)already in use"):
            EmbeddedAws().start()


def test_without_the_extra_it_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ministack", None)
    with pytest.raises(EmbeddedAwsError, match=r"pip install 'siftbeam-billing\[local\]'"):
        EmbeddedAws().start()


def test_an_early_death_shows_the_end_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_emulator(tmp_path, monkeypatch, "raise RuntimeError('no such luck')")
    with pytest.raises(EmbeddedAwsError, match=r"ended with code 1 (?s:.*)no such luck"):
        EmbeddedAws().start()
    assert not left_behind(tmp_path)


def test_an_emulator_that_never_answers_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "pid"
    pretend_emulator(
        tmp_path,
        monkeypatch,
        f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); "
        "print('still thinking', flush=True); time.sleep(600)",
    )
    with pytest.raises(EmbeddedAwsError, match=r"did not answer (?s:.*)still thinking"):
        EmbeddedAws(startup_seconds=1.5).start()
    assert not runs(int(note.read_text()))
    assert not left_behind(tmp_path)


def test_the_users_own_emulator_settings_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICES", "sns")
    monkeypatch.setenv("AUTH", "true")
    monkeypatch.setenv("GATEWAY_PORT", "1")
    with EmbeddedAws() as aws:
        assert listens(aws.url)
        assert not aws.url.endswith(":1")
