"""The bill, recomputed by hand, and what the documentation says of it."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from tests.image_steps import REPOSITORY
from tests.unit.infra.templates import read_template
from worker.cli import app
from worker.cost import awake, prices
from worker.cost.bill import ALARM_METRICS, CUSTOM_METRICS, MEMORY_GB, VCPU, Bill, bill
from worker.cost.sketch import QUOTED_CUSTOMERS, QUOTED_DOLLARS, sketch
from worker.cost.workload import DAYS, Workload
from worker.metrics import Metric

D = Decimal
MISSION = Workload(customers=100, objects=1000, files=10)
DOCUMENT = (REPOSITORY / "docs/cost.md").read_text(encoding="utf-8")
COMPUTE = read_template("compute")


def dollars(of: Bill, item: str) -> Decimal:
    (line,) = (line for line in of.lines if line.price.item == item)
    return line.dollars


class TestByHand:
    """100 customers, 1,000 objects each, 10 runs a day, 31 days."""

    def test_task_hours(self) -> None:
        # Every 2.4 h a run comes, waits 1 h and costs 0.1 h: 24 / 3.5 wakes a day, beside four.
        wakes = 31 * (4 + D(24) / D("3.5")) + 1
        # Sizing 100 x 0.05 s, runs 10 x 0.2 s, 24 resolves of 1 s a day; months 100 x 0.8 s.
        work = 31 * (5 + 2 + 24) + 80
        hours = (wakes * 360 + work + 16_200) / 3600

        assert abs(awake.task_hours(MISSION) - hours) < D("1e-9")
        assert round(hours, 2) == D("38.55")

    def test_the_items_that_cost_most(self) -> None:
        found, hours = bill(MISSION), D("38.5463")
        by_hand = {
            "Fargate ARM64, vCPU": hours / 4 * D("0.04045"),
            "Fargate ARM64, memory": hours / 2 * D("0.00442"),
            "public IPv4 address": hours * D("0.005"),
            "secret": D("0.40"),
            # Two prefixes, 100 customers, 31 days, and one for each of 310 runs.
            "S3 listings": D(2 * 100 * 31 + 310) * D("0.0047") / 1000,
            # A daily row 3, a month 16 + 2 + 31 x 4, a run 16, a cursor for each of 744 ticks.
            "DynamoDB writes, with index copies": D(3100 * 3 + 100 * 142 + 310 * 16 + 744)
            * D("0.715")
            / 1_000_000,
            "SQS": D(0),
            "alarms": D(0),
            "custom metrics": D(0),
        }
        for item, amount in by_hand.items():
            assert abs(dollars(found, item) - amount) < D("0.00001"), item

    def test_the_total_is_under_what_the_mission_quotes(self) -> None:
        assert MISSION.customers == QUOTED_CUSTOMERS
        assert round(bill(MISSION).total, 2) == D("1.16") < QUOTED_DOLLARS

    def test_the_sketch(self) -> None:
        # 100 x 31 x 6 + 100 x 7 + 32 x 4 transitions, 4,000 of them free.
        transitions = D(18_600 + 700 + 128 - 4000) * D("0.025") / 1000
        assert dollars(sketch(MISSION), "Step Functions") == transitions


def test_more_objects_cost_pages() -> None:
    few, many = Workload(100, 2000, 0), Workload(100, 2001, 0)

    assert few.extra_pages == 0
    assert many.extra_pages == 200
    assert dollars(bill(many), "S3 listings") == 2 * dollars(bill(few), "S3 listings")


def test_nothing_to_do_costs_little_and_nothing_below_zero() -> None:
    idle = bill(Workload(customers=0, objects=0, files=0))
    assert all(line.dollars >= 0 for line in idle.lines)
    assert D("0.60") < idle.total < D("0.80")


def test_a_thousand_runs_at_once_wake_as_the_alarm_does() -> None:
    assert COMPUTE["Parameters"]["FilesWaiting"]["Default"] == awake.RUNS_THAT_WAKE
    # A million a day: 1,000 in 86 s, so a task is up again every 532 s of which 360 are its end.
    crowded = awake.file_wakes_a_day(Workload(100, 1000, 1_000_000))
    assert abs(crowded - D(86_400) / (D("0.0864") + D("86.4") + 360)) < D("1e-6")


class TestTheTemplatesAreWhatIsReckoned:
    def test_the_task(self) -> None:
        parameters = COMPUTE["Parameters"]
        assert D(parameters["TaskCpu"]["Default"]) / 1024 == VCPU
        assert D(parameters["TaskMemory"]["Default"]) / 1024 == MEMORY_GB
        assert parameters["CpuArchitecture"]["Default"] == "ARM64"
        assert parameters["FilesOldestSeconds"]["Default"] == MISSION.wait_seconds

    def test_the_wakes(self) -> None:
        defaults = {name: each.get("Default") for name, each in COMPUTE["Parameters"].items()}
        review = defaults["ReviewSchedule"].removeprefix("cron(").split()[1]
        assert 1 + len(review.split(",")) == awake.WAKES_A_DAY
        assert defaults["MonthlySchedule"] == "cron(0 2 1 * ? *)"
        assert defaults["MonthlySleepSchedule"] == "cron(30 6 1 * ? *)"
        assert awake.FIRST_OF_MONTH_SECONDS == 4 * 3600 + 30 * 60

    def test_alarms_and_metrics(self) -> None:
        alarms = [
            resource
            for name in ("compute", "observability")
            for resource in read_template(name)["Resources"].values()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        ]
        assert len(alarms) == ALARM_METRICS
        assert len(Metric) == CUSTOM_METRICS


class TestCommand:
    def test_json_has_every_item_its_page_and_no_float(self) -> None:
        said = CliRunner().invoke(app, ["cost", "--customers", "100", "--json"])

        assert said.exit_code == 0
        document = json.loads(said.stdout, parse_float=pytest.fail)
        assert len(document["items"]) == len(bill(MISSION).lines)
        assert all(item["priceFrom"].startswith("https://") for item in document["items"])
        assert sum(D(item["dollars"]) for item in document["items"]) == pytest.approx(
            D(document["total"]), abs=D("0.0001")
        )
        assert document["pricesOf"] == prices.AS_OF.isoformat()

    def test_people_get_a_table_with_both_totals(self) -> None:
        said = CliRunner().invoke(app, ["cost", "--customers", "1000", "--files", "100"])

        assert said.exit_code == 0
        assert "1,000 customers" in said.stdout
        for total in ("$2.36", "$9.80"):
            assert total in said.stdout

    def test_less_than_nothing_is_wrong_usage(self) -> None:
        assert CliRunner().invoke(app, ["cost", "--files", "-1"]).exit_code == 2


class TestDocument:
    def test_it_has_the_price_tables_date(self) -> None:
        assert f"list prices of {prices.AS_OF.isoformat()}" in DOCUMENT

    def test_the_total_at_the_missions_size(self) -> None:
        found = bill(MISSION)
        assert f"**{found.total:.2f}**" in DOCUMENT
        assert f"it is ${found.total_full:.2f}" in DOCUMENT

    def test_the_runs(self) -> None:
        rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|$", DOCUMENT, re.MULTILINE)
        assert len(rows) == 5
        for runs, hour, six in rows:
            for said, wait in ((hour, 3600), (six, 21_600)):
                workload = Workload(100, 1000, int(runs.replace(",", "")), None, wait)
                assert f"{bill(workload).total:.2f}" == said, (runs, wait)

    def test_the_sizes(self) -> None:
        rows = re.findall(r"^\| ([\d,]+) \| ([\d,]+) (?:\| [\d.,]+ ){4}\|$", DOCUMENT, re.MULTILINE)
        assert [customers for customers, _ in rows[::2]] == ["100", "1,000", "10,000", "100,000"]
        for customers, objects in rows:
            number, held = int(customers.replace(",", "")), int(objects.replace(",", ""))
            idle = Workload(number, held, 0)
            totals = (
                bill(idle),
                bill(Workload(number, held, number // 10)),
                sketch(idle),
                sketch(idle, every_page=True),
            )
            said = " | ".join(f"{each.total:,.2f}" for each in totals)
            assert f"| {customers} | {objects} | {said} |" in DOCUMENT

    @pytest.mark.parametrize(
        ("said", "hourly"), [("46", D("0.062")), ("52", 5 * D("0.014"))], ids=["nat", "endpoints"]
    )
    def test_what_private_subnets_cost(self, said: str, hourly: Decimal) -> None:
        assert round(hourly * DAYS * 24) == int(said)
        assert f"| {said} |" in DOCUMENT

    def test_a_task_that_never_sleeps(self) -> None:
        an_hour = (
            VCPU * prices.FARGATE_VCPU.dollars
            + MEMORY_GB * prices.FARGATE_MEMORY.dollars
            + prices.PUBLIC_ADDRESS.dollars
        )
        assert f"| {an_hour * 744:.2f} |" in DOCUMENT
        # Twenty more wakes a day of six minutes.
        assert f"| {an_hour * 20 * DAYS / 10:.2f} |" in DOCUMENT
