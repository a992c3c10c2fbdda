"""The page worked with: searched, sorted, turned, a statement opened and closed."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.report.browser import opened
from tests.unit.report.months import month_report, statement
from worker.ledger.item import State
from worker.report.page import render

if TYPE_CHECKING:
    from pathlib import Path

    from worker.report.month_report import MonthReport

GIB = 1 << 30
# Says what is shown, after each step.
HAND = """
(async () => {
  const $ = (id) => document.getElementById(id), told = {};
  const seen = () => ({
    ids: [...document.querySelectorAll("#list tbody th")].map((each) => each.textContent),
    found: $("found").textContent,
    sort: [...document.querySelectorAll("#list th[aria-sort]")]
      .map((each) => `${each.textContent} ${each.getAttribute("aria-sort")}`),
    open: $("dialog").open, title: $("dialog").open ? $("statement-title").textContent : "",
    focus: document.activeElement.id || document.activeElement.textContent,
    hash: location.hash, before: $("before").disabled, after: $("after").disabled,
  });
  const settled = () => new Promise((done) => setTimeout(done, 50));
  const set = (id, value, event) => { $(id).value = value; $(id).dispatchEvent(new Event(event)); };
  const head = (name) => document.querySelector(`#list th[data-sort=${name}] button`);
  told.start = seen();
  $("after").click(); told.later = seen();
  set("search", "cus_07", "input"); told.searched = seen();
  set("search", " REFUSED ", "input"); told.state = seen();
  set("search", "nobody", "input"); told.nobody = seen();
  set("search", "", "input");
  set("filter", "gaps", "change"); told.gaps = seen();
  set("filter", "all", "change");
  head("id").click(); told.byId = seen();
  head("id").click(); told.byIdDown = seen();
  set("sort", "average", "change"); told.byAverage = seen();
  const link = document.querySelector("#list tbody a");
  link.focus(); link.click(); await settled(); told.opened = seen();
  $("close").click(); await settled(); told.closed = seen();
  location.hash = "#customer=%E0%A4%A"; await settled(); told.wrong = seen();
  const done = document.createElement("pre");
  done.id = "told"; done.textContent = JSON.stringify(told); document.body.append(done);
})();
"""


def worked(report: MonthReport, tmp_path: Path) -> dict[str, Any]:
    """What the hand saw; the page's own policy lets nothing but its own script run."""
    digest = base64.b64encode(hashlib.sha256(HAND.encode()).digest()).decode()
    page = render(report).replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", f"<script>{HAND}</script></body>"))
    dom = opened(file, tmp_path / "profile", pass_seconds=5)
    told: dict[str, Any] = json.loads(html.unescape(dom.with_id("told").text))
    return told


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A hundred and twenty customers, each holding more than the one before."""
    each = [
        statement(f"cus_{number:03}", dict.fromkeys(range(1, 32), number * GIB))
        for number in range(118)
    ]
    gaps = statement("cus_gaps", dict.fromkeys(range(1, 30), 500 * GIB))
    refused = statement("cus_bad", {1: 5}, state=State.REFUSED, error="no such customer")
    return worked(month_report(*each, gaps, refused), tmp_path_factory.mktemp("worked"))


def test_the_list_is_searched_and_turned(told: dict[str, Any]) -> None:
    assert told["start"]["ids"][:2] == ["cus_gaps", "cus_117"]
    assert told["start"]["found"] == "120 customers"
    assert (told["start"]["before"], told["start"]["after"]) == (True, False)
    assert told["later"]["ids"][:1] == ["cus_068"]
    assert told["searched"]["ids"] == [f"cus_07{last}" for last in range(9, -1, -1)]
    assert told["searched"]["found"] == "10 of 120 customers"
    assert told["state"]["ids"] == ["cus_bad"]
    assert (told["nobody"]["ids"], told["nobody"]["found"]) == ([], "0 of 120 customers")
    assert set(told["gaps"]["ids"]) == {"cus_gaps", "cus_bad"}


def test_the_list_is_sorted_by_its_heads_and_by_choice(told: dict[str, Any]) -> None:
    assert told["start"]["sort"] == ["Total descending"]
    assert told["byId"]["ids"][:2] == ["cus_000", "cus_001"]
    assert told["byId"]["sort"] == ["Customer ascending"]
    assert told["byIdDown"]["ids"][:2] == ["cus_gaps", "cus_bad"]
    assert told["byIdDown"]["sort"] == ["Customer descending"]
    assert told["byAverage"]["ids"][:2] == ["cus_gaps", "cus_117"]
    assert told["byAverage"]["sort"] == ["Average descending"]


def test_a_statement_opens_takes_the_focus_and_gives_it_back(told: dict[str, Any]) -> None:
    assert told["opened"]["open"]
    assert (told["opened"]["title"], told["opened"]["focus"]) == ("cus_gaps", "close")
    assert told["opened"]["hash"] == "#customer=cus_gaps"
    assert not told["closed"]["open"]
    assert (told["closed"]["focus"], told["closed"]["hash"]) == ("cus_gaps", "")
    assert not told["wrong"]["open"]
