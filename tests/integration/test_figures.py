"""One month, one set of figures: report, CSV, page, preview and tables say what Stripe counted.

Whatever the price is by, and whatever became of a customer's month.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest

from producers.queues import Queue
from tests.integration.operator import introduce
from tests.integration.scenario import bill_body, file_body
from tests.unit.report.browser import read
from worker.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.integration.operator import Operator
    from tests.integration.scenario import Changes, Scenario

GIB = 1 << 30
END = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
LAST = datetime(2026, 10, 31, 22, tzinfo=UTC)
PRICES: dict[str, dict[str, object]] = {
    "by the GiB begun": {},
    "by the byte, in 12 decimals": {"storage_unit": "byte"},
    "in yen": {
        "currency": "jpy",
        "storage_price": Decimal(15),
        "file_price": Decimal("0.0015"),
    },
}
# Days held from the first of October on.
HELD: dict[str, Sequence[int | None]] = {
    "cus_Plain": [3 * GIB + day for day in range(31)],
    "cus_Gap": [7_000_000_001] * 13 + [None] * 3 + [9_123_456_789] * 15,
    "cus_Tiny": [1] * 31,
    "cus_Empty": [0] * 31,
    "cus_Whole": [5 * GIB] * 31,
    "cus_Corrected": [GIB + 1] * 31,
    "cus_Excluded": [11 * GIB] * 31,
    "cus_Late": [2 * GIB] * 30,
    "cus_Huge": [987_654_321_012_345 - day for day in range(31)],
}
RUNS = {"cus_Plain": [98_765, 1], "cus_Excluded": [4_000], "cus_Empty": [123_456]}


def billed(operator: Operator, scenario: Scenario, settings: dict[str, object]) -> None:
    """October, billed at those prices, with all that happens to some of the customers."""
    operator.use(**cast("Changes", settings))
    assert operator.run("stripe", "setup", "--new-prices").code == 0
    introduce(scenario, *HELD)
    for customer, sizes in HELD.items():
        for day, size in enumerate(sizes, start=1):
            if size is not None:
                scenario.day(customer, f"2026-10-{day:02}", size)
    assert operator.run("exclude", "cus_Excluded", "--why", "our own").code == 0
    operator.use(**cast("Changes", settings))
    for customer, sizes in RUNS.items():
        for number, size in enumerate(sizes):
            run_id = f"run-{customer}-{number}"
            scenario.upload(f"service/input/{customer}/{run_id}/in.bin", size)
            key = f"service/output/{customer}/{run_id}/out.bin"
            body = file_body(scenario.stack.bucket, key, LAST)
            assert isinstance(scenario.handle(body, worker=operator.installation), Done)
    for customer in HELD:
        scenario.handle(bill_body(customer), worker=operator.installation)
    fact = "storage-usage#cus_Corrected#2026-10"
    told = ["--by", "ana", "--why", "one byte too many", "--yes"]
    assert operator.run("adjust", fact, "--bytes", "-1", *told).code == 0
    scenario.drain(Queue.MONTHLY_BILLING, worker=operator.installation)
    scenario.day("cus_Late", "2026-10-31", 900 * GIB)


def embedded(page: str) -> dict[str, dict[str, Any]]:
    """The figures in the page, as its script shows them."""
    data = json.loads(read(page).with_id("data").text)
    return {one["id"]: one for one in data["customers"]}


@pytest.mark.parametrize("settings", PRICES.values(), ids=list(PRICES))
def test_every_figure_is_stripes(
    operator: Operator, scenario: Scenario, tmp_path: Path, settings: dict[str, object]
) -> None:
    billed(operator, scenario, settings)
    page, table = tmp_path / "october.html", tmp_path / "october.csv"

    report = operator.run("report", "--json", "--html", str(page), "--csv", str(table))
    preview = operator.run("preview", "--month", "2026-10", "--json")

    told = json.loads(report.output)
    reported = {one["customerId"]: one for one in told["customers"]}
    previewed = {one["customerId"]: one for one in json.loads(preview.output)["customers"]}
    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = {line["customerId"]: line for line in csv.DictReader(file)}
    shown = embedded(page.read_text(encoding="utf-8"))
    assert set(reported) == set(previewed) == set(lines) == set(shown) == set(HELD)

    truth = scenario.simulator.truth()
    counted: Counter[tuple[str, str]] = Counter()
    for event in truth.counted:
        counted[event.customer, event.event_name] += int(event.value)
    decimals = 0 if told["currency"] == "jpy" else 2
    invoiced: dict[tuple[str, str], Decimal] = {}
    for line in truth.lines:
        assert (line.period_end, line.currency) == (END, told["currency"])
        invoiced[line.customer, line.event_name] = Decimal(line.amount).scaleb(-decimals)

    for customer, one in reported.items():
        storage, files = counted[customer, "storage-usage"], counted[customer, "file_processed"]
        assert one["storageBytesBilled"] == int(lines[customer]["storageBytesBilled"]) == storage
        assert int(shown[customer]["billedBytes"]) == storage
        assert one["runBytes"] == previewed[customer]["runBytes"] == files
        assert (
            int(lines[customer]["runBytes"]) == int(shown[customer].get("runBytes", "0")) == files
        )
        for name, event_name in (("storage", "storage-usage"), ("file", "file_processed")):
            amounts = {
                one[f"{name}Amount"],
                previewed[customer][f"{name}Amount"],
                lines[customer][f"{name}Amount"],
                shown[customer]["files" if name == "file" else name],
            }
            assert len(amounts) == 1, (customer, amounts)
            assert Decimal(amounts.pop()) == invoiced[customer, event_name], (customer, name)
        total = invoiced[customer, "storage-usage"] + invoiced[customer, "file_processed"]
        assert Decimal(one["amount"]) == Decimal(lines[customer]["amount"]) == total
        assert_tables_agree(scenario, customer, one, lines[customer])
    assert Decimal(told["totals"]["amount"]) == sum(invoiced.values())
    assert told["totals"]["storageBytes"] == sum(
        value for (_, event_name), value in counted.items() if event_name == "storage-usage"
    )
    assert counted["cus_Excluded", "storage-usage"] == 0
    assert counted["cus_Corrected", "storage-usage"] == GIB
    assert reported["cus_Late"]["rowsDiffer"]


def assert_tables_agree(
    scenario: Scenario, customer: str, one: dict[str, Any], line: dict[str, str]
) -> None:
    """What the monthly row and the daily rows say."""
    row = scenario.month_of(customer, "2026-10")
    assert row is not None
    for name in ("averageStorageBytes", "peakStorageBytes", "dailyUsageSum", "totalStorageDays"):
        assert one[name] == int(line[name]) == row[name], (customer, name)
    days = {
        str(day["date"]): day["totalStorageBytes"]
        for day in scenario.days_of(customer)
        if str(day["date"]).startswith("2026-10")
    }
    assert {day["date"]: day["totalStorageBytes"] for day in one["days"]} == days
    assert {name: int(line[name]) for name in line if name in days} == days
