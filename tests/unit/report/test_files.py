from __future__ import annotations

import csv
import io
import stat
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.report.months import month_report, statement
from worker.ledger.item import State
from worker.report.chart import HEIGHT, chart
from worker.report.document import document
from worker.report.file import NotWritten, whole_file
from worker.report.table_file import write_csv
from worker.report.wording import readable_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from worker.report.month_report import MonthReport


def table(report: MonthReport) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    write_csv(report, file)
    file.seek(0)
    return list(csv.DictReader(file))


def test_csv_and_document_hold_the_same_figures() -> None:
    report = month_report(
        statement("cus_A", {1: 10**15, 3: 7}),
        statement("cus_B", {2: 1}, state=State.REJECTED, error="no, never"),
        statement("cus_C", {2: 1}, state=None),
    )

    rows, told = table(report), document(report)

    customers = told["customers"]
    assert isinstance(customers, list)
    for row, one in zip(rows, customers, strict=True):
        assert isinstance(one, dict)
        for name in ("customerId", "storageAmount", "fileAmount", "amount"):
            assert row[name] == one[name]
        for name in ("averageStorageBytes", "dailyUsageSum", "storageBytesBilled", "storageUnits"):
            assert row[name] == str(one[name])
        days = {day["date"]: day["totalStorageBytes"] for day in one["days"]}  # type: ignore[union-attr, call-overload, index] # a list of objects
        assert {
            key: int(row[key]) for key in row if key.startswith("2026-10-") and row[key]
        } == days
    assert rows[0]["missingDays"].startswith("2026-10-02, 2026-10-04 to")
    assert [row["amount"] for row in rows] == ["46566.20", "0.00", "0.10"]


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"])
def test_no_cell_is_a_formula(text: str) -> None:
    hostile = replace(statement("cus_A", {1: 1}), customer_id=text, notes=text)

    (row,) = table(month_report(hostile))

    assert row["customerId"] == row["notes"] == f"'{text}"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    with pytest.raises(UnicodeEncodeError), whole_file(path, "ascii") as file:
        file.write("half" * 10_000 + "\N{SNOWMAN}")

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with whole_file(path) as file:
        file.write("all")
    assert path.read_text() == "all"
    assert path.stat().st_mode & stat.S_IRUSR


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(NotWritten, match=r"nowhere/report.html: No such file"),
        whole_file(tmp_path / "nowhere" / "report.html"),
    ):
        pass


@given(st.integers(0, 10**21))
def test_readable_bytes_are_near_the_exact_ones(count: int) -> None:
    size, unit = readable_bytes(count).replace(",", "").split()
    factor = {"byte": 0, "bytes": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5, "EiB": 6}
    scale = Decimal(1024) ** factor[unit]

    assert abs(Decimal(size) * scale - count) <= scale / 200


def test_the_largest_bar_fills_the_chart() -> None:
    drawn = chart(month_report(statement("cus_A", {1: 5, 2: 10, 3: 0})).days)

    assert [bar.height for bar in drawn.bars[:3]] == [HEIGHT / 2, HEIGHT, 0]
    assert drawn.bars[0].title == "2026-10-01: 5 bytes (5 bytes)"
    assert drawn.bars[3].gap
