"""Chromium without a screen, where it is installed: the page as its script leaves it."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
_SECONDS = 60


def chromium() -> str:
    """Its path; skips the test where there is none."""
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if found is None:
        pytest.skip("chromium is not installed")
    return found


def opened(
    page: Path, profile: Path, fragment: str = "", width: int = 1280, *, pass_seconds: int = 0
) -> Dom:
    """The page's elements once its script has run, in a window so many pixels wide.

    ``pass_seconds`` of the browser's own time pass first, at once: its timers run.
    """
    shown = subprocess.run(  # noqa: S603 - a browser on our own file
        [
            chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
            f"--window-size={width},900",
            *((f"--virtual-time-budget={pass_seconds}000",) if pass_seconds else ()),
            "--dump-dom",
            f"{page.as_uri()}{fragment}",
        ],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    return read(shown.stdout)


class Element:
    """An element: its name, its attributes, and all the text in it."""

    def __init__(self, name: str, attributes: dict[str, str], above: Element | None) -> None:
        self.name = name
        self.attributes = attributes
        self.above = above
        self.inside: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(each if isinstance(each, str) else each.text for each in self.inside).strip()

    def all(self, name: str) -> list[Element]:
        """Every element of that name in it, in order."""
        found = []
        for each in self.inside:
            if isinstance(each, Element):
                found += [each] if each.name == name else []
                found += each.all(name)
        return found

    def with_id(self, wanted: str) -> Element:
        """The one element with an id."""
        (found,) = (each for each in self.everything() if each.attributes.get("id") == wanted)
        return found

    def everything(self) -> list[Element]:
        """Every element in it."""
        found = []
        for each in self.inside:
            if isinstance(each, Element):
                found += [each, *each.everything()]
        return found


Dom = Element


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.here = Element("document", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs}, self.here)
        self.here.inside.append(element)
        if tag not in _VOID:
            self.here = element

    def handle_endtag(self, tag: str) -> None:
        seek: Element | None = self.here
        while seek is not None and seek.name != tag:
            seek = seek.above
        if seek is not None and seek.above is not None:
            self.here = seek.above

    def handle_data(self, data: str) -> None:
        self.here.inside.append(data)


def read(html: str) -> Dom:
    """HTML text as elements."""
    reader = _Reader()
    reader.feed(html)
    return reader.root
