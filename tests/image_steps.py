"""The Dockerfile's own steps, executed in a clean place without a container engine.

What is built is what the file says: its COPY and RUN lines are read from it, with the image's
directories moved under a temporary one. Of the final stage, the accounts cannot be made here; the
rest of what it says is checked against what the build stage left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
# The image's own directories; everything else in a step is relative to the working directory.
_MOVED = re.compile(r"(?<![\w.])(/opt|/src)(?=/|\s|$)")
_BUILD_TOOLS = ("pip", "setuptools", "wheel", "hatchling", "gcc", "cc")
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a stage."""

    stage: str
    keyword: str
    argument: str


def steps(text: str) -> list[Step]:
    """Every instruction, continued lines joined, with the stage it belongs to."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stage, found = "", []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        keyword, _, argument = line.strip().partition(" ")
        if keyword == "FROM":
            stage = argument.split(" AS ")[1]
        found.append(Step(stage, keyword, argument.strip()))
    return found


def ignored(path: Path, patterns: list[str]) -> bool:
    """Whether .dockerignore keeps a path from the builder; the last match wins."""
    verdict = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        bare = pattern.lstrip("!")
        parents = [str(path), *(str(each) for each in path.parents if str(each) != ".")]
        if any(fnmatch(each, bare) for each in parents):
            verdict = not negated
    return verdict


def build(root: Path) -> None:
    """Execute the build stage under a directory."""
    patterns = [
        line
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    work = root
    # Nothing of the caller's environment reaches the steps but what finds Python and its packages.
    environment = {
        name: os.environ[name]
        for name in ("PATH", "LANG", "PIP_CONFIG_FILE", "PIP_INDEX_URL", "HOME")
        if name in os.environ
    }
    environment["PIP_QUIET"] = "1"
    for step in _of_stage("build"):
        argument = _MOVED.sub(lambda match: str(root) + match[1], step.argument)
        match step.keyword:
            case "ENV":
                environment |= dict(part.split("=", 1) for part in argument.split())
            case "WORKDIR":
                work = Path(argument)
                work.mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, target = argument.split()
                for source in sources:
                    _copy(Path(source), work / target, patterns)
            case "RUN":
                _say(f"RUN {step.argument}")
                subprocess.run(  # noqa: S602 - the Dockerfile's own words, as a builder runs them
                    argument, shell=True, check=True, cwd=work, env=environment, timeout=_SECONDS
                )
            case "FROM":
                pass
            case _:
                raise SystemExit(f"{step.keyword} is not known here: teach it to {__file__}")


def check(root: Path) -> None:
    """Hold the final stage against what was built."""
    final = {step.keyword: step.argument for step in _of_stage("worker")}
    source = final["COPY"].removeprefix("--from=build ").split()[0]
    place = root / source.lstrip("/")
    _expect(place.is_dir(), f"COPY --from=build {source}: the build left nothing there")
    binaries = place / "bin"
    for command in (json.loads(final["ENTRYPOINT"]), ["siftbeam-billing"]):
        said = _call(binaries, [*command, "--help"])
        _expect("worker" in said.stdout, f"{command} --help says {said.stdout} {said.stderr}")
    health = json.loads(final["HEALTHCHECK"].split(" CMD ")[1])
    nobody = _call(binaries, health, SIFTBEAM_HEARTBEAT_FILE=str(root / "nothing.json"))
    _expect(nobody.returncode == 1, f"{health} says {nobody.returncode} without a worker")
    tools = [name for name in _BUILD_TOOLS if any(binaries.glob(f"{name}*"))]
    _expect(not tools, f"build tools in the final stage: {tools}")
    _expect("pip uninstall --yes pip" in final["RUN"], "pip stays in the final stage")
    _expect(final["USER"].split(":")[0] not in {"root", "0"}, "the worker runs as root")
    _expect(final["STOPSIGNAL"] == "SIGTERM", "the worker drains on SIGTERM")


def main() -> None:
    """Build, check, clean up."""
    root = Path(tempfile.mkdtemp(prefix="siftbeam-image-"))
    try:
        build(root)
        check(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    _say("the Dockerfile's steps work")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _of_stage(stage: str) -> list[Step]:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    return [step for step in steps(text) if step.stage == stage]


def _copy(source: Path, target: Path, patterns: list[str]) -> None:
    """Copy a file, or a directory's contents, as a builder does: without what is ignored."""
    origin = REPOSITORY / source
    files = [origin] if origin.is_file() else [each for each in origin.rglob("*") if each.is_file()]
    _expect(bool(files), f"COPY {source}: there is no such file")
    kept = [each for each in files if not ignored(each.relative_to(REPOSITORY), patterns)]
    _expect(bool(kept), f"COPY {source}: .dockerignore keeps it from the builder")
    for each in kept:
        place = target / (each.name if origin.is_file() else each.relative_to(origin))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(each, place)


def _call(
    binaries: Path, command: list[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - what was just built
        [str(binaries / command[0]), *command[1:]],
        env={"PATH": str(binaries), **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion that -O keeps
    if not condition:
        raise SystemExit(otherwise)


if __name__ == "__main__":
    main()
