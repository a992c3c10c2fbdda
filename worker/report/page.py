"""The report as one page that needs nothing else: no network, no second file.

Texts are escaped by the template engine, the figures for the script by :func:`script_safe`, and the
page's own policy forbids any script but the one it carries (https://www.w3.org/TR/CSP3/).
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from worker.ledger.item import State
from worker.report.chart import chart
from worker.report.page_data import kind_name, page_data, script_safe
from worker.report.standing import IMPOSSIBLE, NOT_FROZEN, STANDINGS, became_of
from worker.report.wording import readable_bytes

if TYPE_CHECKING:
    from worker.report.month_report import MonthReport
    from worker.report.standing import Standing
    from worker.statement.statement import Statement

# What stands in the page itself, for who reads it without scripts.
_PLAIN_ROWS = 100


def render(report: MonthReport) -> str:
    """The page as HTML text."""
    style, script = _part("style.css"), _part("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            chart=chart(report.days),
            money=report.prices.currency.format,
            plain_rows=report.by_bill[:_PLAIN_ROWS],
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            digest=digest,
            data=Markup(script_safe(page_data(report))),  # noqa: S704 - escaped for where it stands
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("worker.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["bytes"] = readable_bytes
    environment.filters["kind"] = kind_name
    environment.filters["standing"] = _standing
    environment.filters["commands"] = _commands
    environment.filters["became_of"] = became_of
    environment.globals["standings"] = STANDINGS
    return environment


def _standing(statement: Statement) -> Standing:
    if statement.problem is not None:
        return IMPOSSIBLE
    if statement.storage is not None:
        return STANDINGS[statement.storage.state]
    return NOT_FROZEN if statement.skipped is None else STANDINGS[State.SKIPPED]


def _commands(text: str) -> Markup:
    """A text whose commands, between backticks, are set as such."""
    plain, *rest = text.split("`")
    marked = Markup().join(
        Markup("<code>{}</code>").format(part) if index % 2 == 0 else escape(part)
        for index, part in enumerate(rest)
    )
    return escape(plain) + marked


@cache
def _part(name: str) -> str:
    return files("worker.report").joinpath("page", name).read_text(encoding="utf-8")
