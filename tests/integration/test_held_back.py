"""What preview, report and status say of customers who are held back, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.integration.operator import introduce
from tests.integration.scenario import bill_body

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.operator import Operator
    from tests.integration.scenario import Scenario

GIB = 1 << 30
WHY = "sending is paused since 2026-11-01 00:05 UTC (bob: in talks)"


def test_a_pause_is_told_with_its_reason_until_the_fact_is_sent(
    operator: Operator, scenario: Scenario, tmp_path: Path
) -> None:
    introduce(scenario, "cus_A", "cus_B")
    for customer in ("cus_A", "cus_B"):
        scenario.month(customer, "2026-10", [GIB] * 31)
    operator.run("pause", "--customer", "cus_B", "--by", "bob", "--why", "in talks")

    def told() -> tuple[list[str | None], list[str | None], str, str]:
        preview = operator.run("preview", "--month", "2026-10", "--json")
        report = operator.run("report", "--json", "--html", str(tmp_path / "page.html"))
        return (
            [one["paused"] for one in json.loads(preview.output)["customers"]],
            [one["paused"] for one in json.loads(report.output)["customers"]],
            operator.run("preview", "--month", "2026-10").errors,
            (tmp_path / "page.html").read_text(),
        )

    before = told()
    # Frozen, and waiting.
    scenario.handle(bill_body("cus_B"))
    waiting = told()
    operator.use()
    operator.run("resume", "--customer", "cus_B")
    operator.use()
    scenario.handle(bill_body("cus_B"), worker=scenario.installation())
    sent = told()

    for previewed, reported, said, page in (before, waiting):
        assert previewed == reported == [None, WHY]
        assert f"1 customer to be billed after `resume`: {WHY}" in said
        assert f'"paused":"{WHY}"' in page
    assert sent[:2] == ([None, None], [None, None])
    assert "resume" not in sent[2]


def test_the_status_names_who_is_held_back_and_why(operator: Operator, scenario: Scenario) -> None:
    scenario.customers(*(f"cus_{name}" for name in "ABCDE"))
    for name in "ABCDE":
        operator.run("pause", "--customer", f"cus_{name}", "--why", "in talks")
    operator.run("exclude", "cus_E", "--why", "our own")

    shown = operator.run("status").output
    told = json.loads(operator.run("status", "--json").output)

    (paused,) = [line for line in shown.splitlines() if line.startswith("paused")]
    assert "cus_A since 2026-11-01 00:05 UTC (in talks); cus_B" in paused
    assert paused.endswith("; and 2 more")
    assert "excluded cus_E since 2026-11-01 00:05 UTC (our own)" in shown
    assert told["paused"]["customers"] == [f"cus_{name}" for name in "ABCDE"]
    assert told["excluded"] == ["cus_E"]
