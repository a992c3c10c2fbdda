"""Every text of the page can be read, in light and in dark (WCAG 2.2, 1.4.3 and 1.4.11).

https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
"""

from __future__ import annotations

import re
from decimal import Decimal
from importlib.resources import files

import pytest

TEXTS = [
    ("ink", "card"),
    ("ink", "paper"),
    ("soft", "card"),
    ("soft", "paper"),
    ("accent", "card"),
    ("open", "card"),
    ("good", "good-back"),
    ("open", "open-back"),
    ("bad", "bad-back"),
    ("quiet", "quiet-back"),
]
SHAPES = [("bar", "card"), ("gap", "card"), ("edge", "card"), ("edge", "paper")]


def style() -> str:
    return files("worker.report").joinpath("page", "style.css").read_text(encoding="utf-8")


def colours(scheme: str) -> dict[str, str]:
    """A scheme's colours; the dark one's are named in the second ``:root``."""
    light, dark = (part.split("}")[0] for part in style().split(":root {")[1:3])
    return dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6})", light if scheme == "light" else dark))


def luminance(colour: str) -> Decimal:
    parts = []
    for start in (0, 2, 4):
        share = Decimal(int(colour[start : start + 2], 16)) / 255
        parts.append(
            share / Decimal("12.92")
            if share <= Decimal("0.04045")
            else ((share + Decimal("0.055")) / Decimal("1.055")) ** Decimal("2.4")
        )
    red, green, blue = parts
    return Decimal("0.2126") * red + Decimal("0.7152") * green + Decimal("0.0722") * blue


def contrast(one: str, other: str) -> Decimal:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + Decimal("0.05")) / (darker + Decimal("0.05"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_they_stand_on(scheme: str) -> None:
    named = colours(scheme)

    for text, ground in TEXTS:
        assert contrast(named[text], named[ground]) >= Decimal("4.5"), (text, ground)
    for shape, ground in SHAPES:
        assert contrast(named[shape], named[ground]) >= 3, (shape, ground)


def test_what_only_marks_a_shape_colours_no_text() -> None:
    assert re.findall(r"[{;]\s*color: var\(--(?:gap|bar|line|edge)\)", style()) == []
