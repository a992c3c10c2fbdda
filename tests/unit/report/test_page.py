from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.report.browser import opened, read
from tests.unit.report.months import (
    MADE_AT,
    OCTOBER,
    large_month,
    month_report,
    run_item,
    statement,
)
from worker.ledger.item import State
from worker.report.page import render
from worker.report.page_data import DETAILED_CUSTOMERS, script_safe

if TYPE_CHECKING:
    from pathlib import Path

    from worker.report.month_report import MonthReport

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


def embedded(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(page).with_id("data").text)
    return found


def plain(text: str) -> str:
    return text.replace(",", "").replace("$", "")


def troubled_month() -> MonthReport:
    at = OCTOBER.start + timedelta(days=3)
    return month_report(
        statement("cus_A", {day: 3_000_000_007 * day for day in range(1, 32)}),
        statement(
            "cus_B",
            {day: 10**15 - day for day in range(1, 32) if day != 12},
            runs=(run_item("cus_B", "run-1", 98_765, State.CONFIRMED, at),),
        ),
        statement("cus_C", {1: 5}, state=State.REFUSED, error=HOSTILE),
        statement("cus_D", {1: 5}, state=None),
    )


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render(troubled_month())

    for element in read(page).everything():
        assert "src" not in element.attributes
        assert element.attributes.get("href", "#").startswith("#")
    style = read(page).all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style
    policy = next(
        each.attributes["content"]
        for each in read(page).all("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")


def test_the_figures_on_the_page_are_those_of_the_report() -> None:
    report = troubled_month()
    data = embedded(render(report))

    by_id = {one["id"]: one for one in data["customers"]}
    for one in report.statements:
        shown = by_id[one.customer_id]
        assert shown["amount"] == str(one.amount)
        assert shown["storage"] == str(one.storage_amount)
        assert shown["files"] == str(one.file_amount)
        held = dict(pair.split(":") for pair in shown["daily"].split(","))
        assert held == {str(row.day.day): str(row.total_bytes) for row in one.days}
        assert shown.get("gaps", []) == [day.day for day in one.missing]
    # Sixteen digits and more would not survive as a script's number.
    assert by_id["cus_B"]["sum"] == str(sum(10**15 - day for day in range(1, 32) if day != 12))


def test_hostile_texts_stay_texts() -> None:
    hostile = replace(statement("cus_A", {1: 5}), customer_id=HOSTILE, notes=HOSTILE)
    page = read(render(month_report(hostile, *troubled_month().statements)))

    # The data and the page's own, and none that a text has opened.
    assert len(page.all("script")) == 2
    assert page.all("img") == []
    assert HOSTILE in [each.text for each in page.with_id("list").all("th")]


@pytest.mark.parametrize("text", ["</script>", "<!--", "\u2028", "&amp;", "日本語"])
def test_what_a_script_element_could_end_at_is_escaped(text: str) -> None:
    safe = script_safe({"text": text})

    assert json.loads(safe) == {"text": text}
    assert not set(safe) & set("<>&\u2028\u2029")


def test_a_large_month_leaves_the_days_parts_out() -> None:
    report = large_month(3, 11)
    many = replace(report, statements=report.statements * (DETAILED_CUSTOMERS // 3 + 1))

    assert all("parts" in one for one in embedded(render(report))["customers"])
    assert not any("parts" in one for one in embedded(render(many))["customers"])


def test_a_running_month_says_so() -> None:
    page = render(replace(troubled_month(), made_at=MADE_AT - timedelta(days=20)))

    assert "Still running" in page
    assert "So far" in page


def test_who_is_not_to_be_billed_is_not_said_to_be_billed_later() -> None:
    excluded = replace(statement("cus_A", {1: 5}, state=None), skipped="excluded: our own")

    page = render(month_report(excluded, statement("cus_B", {1: 5}, state=None)))

    states = {one["id"]: one["state"] for one in embedded(page)["customers"]}
    assert states == {"cus_A": "skipped", "cus_B": "none"}
    rows = {row.all("th")[0].text: row for row in read(page).with_id("list").all("tr")[1:]}
    assert rows["cus_A"].text.endswith("not billed")
    assert rows["cus_B"].text.endswith("not billed yet")


def test_an_empty_month() -> None:
    page = read(render(month_report()))

    assert page.with_id("total-amount").text == "$0.00"


def test_stacked_figures_have_their_heads_as_labels() -> None:
    page = read(render(troubled_month()))

    for table in page.all("table"):
        if "stack" in table.attributes.get("class", ""):
            heads = [head.text for head in table.all("thead")[0].all("th")]
            for row in table.all("tbody")[0].all("tr"):
                labels = [cell.attributes.get("data-label") for cell in row.all("td")]
                assert labels == heads[1:]


# --- In a browser ---------------------------------------------------------------------------------


def page_file(tmp_path: Path, report: MonthReport) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render(report), encoding="utf-8")
    return path


def test_in_a_browser_the_rows_say_what_the_report_says(tmp_path: Path) -> None:
    report = troubled_month()
    dom = opened(page_file(tmp_path, report), tmp_path / "profile")

    totals = report.totals
    assert dom.with_id("total-amount").text == f"${totals.amount:,.2f}"
    assert dom.with_id("total-storage").text == f"${totals.storage_amount:,.2f}"
    assert dom.with_id("total-missing").text == f"{totals.missing_days:,}"
    rows = dom.with_id("list").all("tbody")[0].all("tr")
    assert [row.all("th")[0].text for row in rows] == [one.customer_id for one in report.by_bill]
    for row, one in zip(rows, report.by_bill, strict=True):
        cells = row.all("td")
        basis = one.basis
        assert basis is not None
        assert plain(cells[1].attributes["title"]).split()[0] == str(basis.average)
        assert [cells[4].text, cells[6].text, cells[7].text] == [
            f"${one.storage_amount:,.2f}",
            f"${one.file_amount:,.2f}",
            f"${one.amount:,.2f}",
        ]
    assert [each.text for each in rows[-1].all("a")] == [report.by_bill[-1].customer_id]


def test_in_a_browser_a_statement_goes_down_to_the_daily_rows(tmp_path: Path) -> None:
    report = troubled_month()
    one = report.statements[1]
    dom = opened(page_file(tmp_path, report), tmp_path / "profile", "#customer=cus_B")

    dialog = dom.with_id("dialog")
    assert "open" in dialog.attributes
    shown = dialog.with_id("statement")
    assert shown.with_id("statement-title").text == "cus_B"
    storage, files = (
        [plain(step.all("span")[-1].text) for step in steps.all("li")] for steps in shown.all("ol")
    )
    basis = one.basis
    assert basis is not None
    assert storage == [
        f"{basis.total} bytes",
        f"{basis.average} bytes",
        f"{-(-basis.average // 2**30)} GiB",
        str(one.storage_amount),
    ]
    assert files == ["98765 bytes", "0.99"]
    days = {
        row.all("th")[0].text: plain(row.all("td")[0].text)
        for row in shown.all("table")[0].all("tbody")[0].all("tr")
    }
    assert days == {
        day.isoformat(): "no row" if day.day == 12 else str(10**15 - day.day)
        for day in OCTOBER.days
    }
    assert "run-1" in shown.text


def test_in_a_browser_hostile_texts_run_nothing(tmp_path: Path) -> None:
    hostile = replace(statement("cus_A", {1: 5}), customer_id=HOSTILE, notes=HOSTILE)
    report = replace(month_report(hostile), only=HOSTILE)
    dom = opened(page_file(tmp_path, report), tmp_path / "profile")

    assert dom.all("title")[0].text.startswith("Storage billing")
    assert dom.all("img") == []
    assert dom.with_id("statement-title").text == HOSTILE


# What is cut off, or can only be reached by scrolling sideways; what is hidden on purpose is not.
_CUT_OFF = """
const cut = [...document.querySelectorAll("body *")].filter((one) =>
  one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "visible"
  && !one.matches(".quiet, .skip, input, #list thead *, #list thead"));
const wide = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
document.title = JSON.stringify([...wide, ...cut.map((one) => one.outerHTML.slice(0, 80))]);
"""


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("fragment", ["", "#customer=cus_A"])
def test_nothing_is_cut_off_at_any_width(tmp_path: Path, width: int, fragment: str) -> None:
    long = statement(
        "cus_NffrFeUfNV2Hib",
        {1: 5},
        state=State.REFUSED,
        error="meter_event_customer_not_found: no such customer",
    )
    unknown = replace(statement("cus_D", {1: 5}, state=None), customer_id="cus_QRstUvWxYz0123")
    report = month_report(
        statement("cus_A", {day: 3_000_000_007 * day for day in range(1, 32)}), long, unknown
    )
    page = render(report)
    # The page's own policy allows no script but its own: the probe goes into a copy without it.
    policy = page[page.index('<meta http-equiv="Content-Security-Policy"') :].split(">", 1)[0]
    copy = tmp_path / "report.html"
    copy.write_text(
        page.replace(policy + ">", "").replace("</body>", f"<script>{_CUT_OFF}</script></body>"),
        encoding="utf-8",
    )

    dom = opened(copy, tmp_path / "profile", fragment, width)

    assert json.loads(dom.all("title")[0].text) == []
