"""Listing a million keys: processor time, requests and memory, against what others take.

``python -m bench.sizing [--rounds N] [--tls] [--plot FILE] [--json]``; needs a C compiler for the
fast server it brings along (Debian: ``apt-get install gcc libc6-dev``, and ``libssl-dev`` for
``--tls``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HERE = Path(__file__).parent / "listing"
_KEYS = 1_000_000
# The paginator's cost per key is the same throughout; a million would take minutes.
_KEYS_OF_BOTO3 = 100_000
_IN_FLIGHT = 64
_OURS = "SiftBeam Billing"
_LATENCY_MS = 50


@dataclass(frozen=True, slots=True)
class Figures:
    """One run.

    Args:
        cpu_seconds: per million keys, user and system, the start of the program left out.
        wall_seconds: per million keys.
        peak_mb: resident, in megabytes of 10^6 bytes.
        pages: requests for pages.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    pages: int


class NoCompiler(RuntimeError):  # noqa: N818 - says what is missing
    """The fast server could not be compiled."""


def build(folder: Path, *, tls: bool) -> None:
    """Compile the server and the limit.

    Raises:
        NoCompiler: there is none, or a library is missing.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("the bench's server is in C: install a compiler (Debian: gcc libc6-dev)")
    encrypted = ["-DWITH_TLS", "-lssl", "-lcrypto"] if tls else []
    for name, flags in (("server", encrypted), ("limit", [])):
        files = ["-o", str(folder / name), str(_HERE / f"{name}.c")]
        command = [compiler, "-O2", *files, "-lpthread", *flags]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise NoCompiler(f"{name}.c does not compile (--tls needs libssl-dev):\n{made.stderr}")


@contextmanager
def serving(folder: Path, runs: int, files: int, latency: int, *, tls: bool) -> Iterator[str]:
    """The server on a free port; gives its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(folder / "server"), *map(str, (port, runs, files, latency))]
    if tls:
        names = [str(folder / "certificate.pem"), str(folder / "key.pem")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",  # noqa: S607
             "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-out", names[0], "-keyout", names[1]],
            check=True, capture_output=True,
        )  # fmt: skip
        command += names
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            if server.stdout is None or server.stdout.readline() != b"ready\n":
                raise NoCompiler("the server did not start")
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            server.kill()


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that lists the bucket.

    Args:
        name: as the table shows it.
        command: what starts it.
        keys: how many it lists.
        objects: which word of what it prints counts them.
        tells_start: whether the first word is the processor time that starting it took, and the
            last one how long it listed.
    """

    name: str
    command: Sequence[str]
    keys: int = _KEYS
    objects: int = 1
    tells_start: bool = True


def contenders(url: str, folder: Path, *, tls: bool) -> list[Contender]:
    """Who runs."""
    client = [sys.executable, "-m", "bench.listing.client"]
    found = [
        Contender(_OURS, [*client, "ours", url, "1", "0"]),
        Contender(
            "boto3's paginator",
            [*client, "boto3", url, "1", str(_KEYS_OF_BOTO3)],
            keys=_KEYS_OF_BOTO3,
        ),
        Contender("obstore", [*client, "obstore", url, "1", "0"]),
    ]
    if s5cmd := shutil.which("s5cmd"):
        asked = ["du", "s3://bench/service/input/cus_bench/*"]
        command = [s5cmd, "--no-verify-ssl", "--endpoint-url", url, *asked]
        found.append(Contender("s5cmd du", command, objects=3, tells_start=False))
    if not tls:
        limit = [str(folder / "limit"), url.rpartition(":")[2]]
        found.append(Contender("the limit (C)", limit, tells_start=False))
    return found


def run(contender: Contender, url: str, folder: Path) -> Figures:
    """Let one list everything, and look what it took."""
    _count(url)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "AWS_ACCESS_KEY_ID": "AKIABENCH",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_REGION": "ap-northeast-1",
        "PYTHONPYCACHEPREFIX": str(folder),
        "PYTHONWARNINGS": "ignore",
    }
    if url.startswith("https"):
        environment["AWS_CA_BUNDLE"] = str(folder / "certificate.pem")
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(contender.command, stdout=output, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
        wall = time.monotonic() - began
        output.seek(0)
        said = output.read().split()
    if status or len(said) <= contender.objects or int(said[contender.objects]) != contender.keys:
        raise RuntimeError(f"{contender.name} failed: {' '.join(said)[:500]}")
    start, wall = (float(said[0]), float(said[-1])) if contender.tells_start else (0.0, wall)
    millions = contender.keys / 1_000_000
    return Figures(
        cpu_seconds=(used.ru_utime + used.ru_stime - start) / millions,
        wall_seconds=wall / millions,
        peak_mb=used.ru_maxrss * 1024 / 1_000_000,
        pages=_count(url),
    )


def _count(url: str) -> int:
    """The pages asked for since the last time."""
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - the bench's own server
    with urllib.request.urlopen(f"{url}/count", context=context) as answer:  # noqa: S310 - as above
        return int(answer.read())


def compare(rounds: int, folder: Path, *, tls: bool) -> dict[str, Figures]:
    """Every contender in turn, again and again; the median of each figure."""
    found: dict[str, list[Figures]] = {}
    with serving(folder, 100_000, 10, 0, tls=tls) as url:
        for _ in range(rounds):
            for contender in contenders(url, folder, tls=tls):
                _note(found, contender, run(contender, url, folder))
    return {name: _median(figures) for name, figures in found.items()}


def side_by_side(rounds: int, folder: Path) -> dict[str, Figures]:
    """Ours with many pages in flight against one, each page taking a while."""
    found: dict[str, list[Figures]] = {}
    for runs, files in ((100_000, 10), (100, 10_000)):
        with serving(folder, runs, files, _LATENCY_MS, tls=False) as url:
            for _ in range(rounds):
                for in_flight in (1, _IN_FLIGHT):
                    command = [sys.executable, "-m", "bench.listing.client"]
                    name = f"{runs:,} runs of {files:,} files, {in_flight} in flight"
                    contender = Contender(name, [*command, "ours", url, str(in_flight), "0"])
                    _note(found, contender, run(contender, url, folder))
    return {name: _median(figures) for name, figures in found.items()}


def _note(found: dict[str, list[Figures]], contender: Contender, figures: Figures) -> None:
    print(f"{contender.name}: {figures}", file=sys.stderr, flush=True)
    found.setdefault(contender.name, []).append(figures)


def _median(figures: Sequence[Figures]) -> Figures:
    return Figures(
        cpu_seconds=statistics.median(found.cpu_seconds for found in figures),
        wall_seconds=statistics.median(found.wall_seconds for found in figures),
        peak_mb=statistics.median(found.peak_mb for found in figures),
        pages=round(statistics.median(found.pages for found in figures)),
    )


def show(title: str, figures: Mapping[str, Figures]) -> None:
    """Print a table; ratios are to the first row."""
    print(f"\n{title}\n{'':44}{'CPU s/M':>9}{'ratio':>8}{'wall s/M':>10}{'MB':>7}{'pages':>8}")
    first = next(iter(figures.values()))
    for name, found in figures.items():
        print(
            f"{name:44}{found.cpu_seconds:9.2f}{found.cpu_seconds / first.cpu_seconds:8.2f}"
            f"{found.wall_seconds:10.2f}{found.peak_mb:7.0f}{found.pages:8d}"
        )


def plot(figures: Mapping[str, Figures], file: Path) -> None:
    """Draw the processor time of each."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only where a plot is asked for

    drawing = Figure(figsize=(8, 3), layout="constrained")
    axes = drawing.add_subplot()
    bars = axes.barh(list(figures), [found.cpu_seconds for found in figures.values()])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xscale="log", xlabel="CPU seconds per million keys (log)")
    axes.invert_yaxis()
    drawing.savefig(file)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender")
    parser.add_argument("--tls", action="store_true", help="over TLS too")
    parser.add_argument("--plot", type=Path, help="an SVG file")
    parser.add_argument("--json", action="store_true", help="for machines")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            build(folder, tls=asked.tls)
        except NoCompiler as error:
            sys.exit(str(error))
        tables = {"HTTP": compare(asked.rounds, folder, tls=False)}
        if asked.tls:
            tables["TLS"] = compare(asked.rounds, folder, tls=True)
        tables[f"{_LATENCY_MS} ms a page"] = side_by_side(asked.rounds, folder)
    if asked.plot is not None:
        plot(tables["HTTP"], asked.plot)
    if asked.json:
        print(
            json.dumps({t: {n: asdict(f) for n, f in rows.items()} for t, rows in tables.items()})
        )
        return
    for title, figures in tables.items():
        show(title, figures)


if __name__ == "__main__":
    main()
