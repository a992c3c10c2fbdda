"""``demo`` and ``local up``, from outside: as processes of their own, in a hostile environment."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import pytest

from infra.stripe_simulator import DEFAULT_KEY
from worker.demo.stage import billed_month
from worker.demo.verdict import Account, average, differences, file_price, storage_price
from worker.demo.witness import SeenLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_CLI = (sys.executable, "-c", "from worker.cli import main; main()")
_LONGEST_SECONDS = 240
# What would lead the commands elsewhere, were it not shut out.
_HOSTILE = {
    "AWS_PROFILE": "nobody",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
    "AWS_SESSION_TOKEN": "stale",
    "SIFTBEAM_BUCKET": "somewhere-else",
    "SIFTBEAM_STRIPE_API_KEY": "sk_test_other",
    "SIFTBEAM_SEND": "shadow",
}


def _environment(directory: Path, **more: str) -> dict[str, str]:
    """This process's environment, without colour, with temporary files where they can be seen."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FORCE_")}
    return plain | {"TMPDIR": str(directory)} | more


def _until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def test_the_demo_ends_with_every_number_in_agreement(tmp_path: Path) -> None:
    ended = subprocess.run(  # noqa: S603 - our own command
        [*_CLI, "demo", "--report", str(tmp_path / "report.html")],
        env=_environment(tmp_path, **_HOSTILE),
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = ended.stdout
    assert told.rstrip().splitlines()[-1].strip().startswith("Every number agrees")
    assert ended.stderr == ""
    assert "\x1b" not in told, "colour, though the output is no terminal"
    for part in ("NothingToBill", "2,500", "cus_Stranger", "The draft invoices"):
        assert part in told
    assert not list(tmp_path.glob("siftbeam-*"))
    assert "cus_Orbiter" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def account() -> Account:
    return Account(
        customer_id="cus_a",
        meter="storage-usage",
        known=True,
        measured=1_073_741_825,
        facts=1,
        ledger=1_073_741_825,
        states=("confirmed",),
        counted=1_073_741_825,
        refused=(),
        line=SeenLine(usage=1_073_741_825, quantity=2, cents=20),
    )


def _found(account: Account) -> list[str]:
    return list(differences(account, storage_price(account.measured)))


def test_figures_that_agree_are_no_difference(account: Account) -> None:
    assert _found(account) == []


@pytest.mark.parametrize(
    ("change", "source"),
    [
        ({"ledger": 1_073_741_826}, "the ledger says 1,073,741,826"),
        ({"counted": 0}, "Stripe says 0"),
        ({"counted": 2 * 1_073_741_825}, "Stripe says 2,147,483,650"),
        ({"states": ("sent",)}, "the fact is sent"),
        ({"states": ()}, "count of facts says 0"),
        ({"refused": ("no_meter",)}, "refused it afterwards: no_meter"),
        ({"line": None}, "no invoice"),
        ({"line": SeenLine(1_073_741_824, 2, 20)}, "usage says 1,073,741,824"),
        ({"line": SeenLine(1_073_741_825, 1, 20)}, "quantity says 1"),
        ({"line": SeenLine(1_073_741_825, 2, 10)}, "cents says 10"),
    ],
)
def test_a_figure_that_differs_is_named(
    account: Account,
    change: Mapping[str, int | tuple[str, ...] | SeenLine | None],
    source: str,
) -> None:
    (difference,) = _found(replace(account, **change))  # type: ignore[arg-type] # fields vary by row

    assert "cus_a storage-usage" in difference
    assert source in difference


def test_whom_stripe_does_not_know_must_be_refused_and_never_invoiced(account: Account) -> None:
    stranger = replace(
        account,
        known=False,
        counted=0,
        states=("refused",),
        refused=("meter_event_customer_not_found",),
        line=None,
    )

    assert _found(stranger) == []
    assert len(_found(replace(stranger, counted=stranger.measured))) == 1
    assert len(_found(replace(stranger, states=("sent",)))) == 1
    assert len(_found(replace(stranger, refused=()))) == 1
    assert len(_found(replace(stranger, line=account.line))) == 1


def test_the_verdict_knows_the_arithmetic_by_itself() -> None:
    assert [average([0, 1]), average([1, 2]), average([2, 2, 3])] == [0, 2, 2]
    assert storage_price(0) == (0, 0)
    assert storage_price(1_073_741_824) == (1, 10)
    assert storage_price(1_073_741_825) == (2, 20)
    assert file_price(500) == (500, 1)
    assert file_price(499) == (499, 0)


def test_the_month_lies_behind_every_moment_of_the_year() -> None:
    moment = datetime(2027, 12, 30, tzinfo=UTC)
    while moment < datetime(2029, 1, 3, tzinfo=UTC):
        for now in (moment, moment + timedelta(hours=23, minutes=59, seconds=59)):
            end = billed_month(now).end
            assert end + timedelta(days=3) < now
            assert now - end < timedelta(days=40)
        moment += timedelta(days=1)


def test_local_up_serves_aws_and_stripe_until_it_is_told_to_end(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    exports, told = tmp_path / "local.env", tmp_path / "told"
    with exports.open("w") as output, told.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*_CLI, "local", "up"],
            env=_environment(kept, **_HOSTILE),
            stdout=output,
            stderr=log,
        )
    try:
        _until(lambda: "ready" in told.read_text() or process.poll() is not None, "ready")
        assert process.poll() is None, told.read_text()
        variables = _exported(exports)
        _use_aws(variables)
        _use_the_command_line(exports, tmp_path)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    assert code == 0, told.read_text()
    assert not _listens(variables["AWS_ENDPOINT_URL"])
    assert not _listens(variables["SIFTBEAM_STRIPE_API_BASE"])
    assert not list(kept.glob("siftbeam-*"))


def _exported(exports: Path) -> dict[str, str]:
    lines = [shlex.split(line) for line in exports.read_text().splitlines()]
    assert all(line[0] == "export" and len(line) == 2 for line in lines)
    return {name: value for _, pair in lines for name, value in [pair.split("=", 1)]}


def _use_aws(variables: Mapping[str, str]) -> None:
    session = boto3.Session(
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )
    url = variables["AWS_ENDPOINT_URL"]
    s3 = session.client("s3", endpoint_url=url)
    secrets = session.client("secretsmanager", endpoint_url=url)
    try:
        s3.put_object(Bucket="siftbeam", Key="service/input/cus_a/run/a b.txt", Body=b"abc")
        kept = secrets.get_secret_value(SecretId="siftbeam/stripe/api-key")["SecretString"]
    finally:
        s3.close()
        secrets.close()
    assert DEFAULT_KEY in kept


def _use_the_command_line(exports: Path, directory: Path) -> None:
    """List Stripe's customers: that takes the endpoint, the secret and Stripe's address."""
    ended = subprocess.run(  # noqa: S603 - our own command
        ["/bin/sh", "-c", '. "$0" && exec "$@"', str(exports), *_CLI, "enqueue", "daily", "--json"],
        env=_environment(directory, SIFTBEAM_CUSTOMER_SOURCE="stripe"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    # The one whom the README's first steps are taken with.
    assert '"messages": 1' in ended.stdout


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((str(parts.hostname), int(parts.port or 0))) == 0
