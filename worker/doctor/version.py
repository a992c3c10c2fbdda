"""The version of what is installed here."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from worker.doctor.check import ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.doctor.check import Verdict

PACKAGE = "siftbeam-billing"


def look_at_version() -> Iterator[Verdict]:
    """This command's version, to be held against the tag of the image that the service runs."""
    yield ok(f"{PACKAGE} {version(PACKAGE)}, with stripe {version('stripe')}")
