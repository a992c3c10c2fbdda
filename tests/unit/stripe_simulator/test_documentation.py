import re
from pathlib import Path

from pydantic import TypeAdapter

from infra.stripe_simulator import Rule
from infra.stripe_simulator.control import ENDPOINTS

PAGE = Path(__file__).parents[3].joinpath("docs", "stripe-simulator.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_example_runs() -> None:
    (example,) = blocks("python")
    exec(compile(example, "docs/stripe-simulator.md", "exec"), {})  # noqa: S102 - our own page


def test_the_example_of_a_rule_is_one() -> None:
    (rules,) = blocks("json")
    assert len(TypeAdapter(list[Rule]).validate_json(rules)) == 1


def test_every_control_endpoint_is_in_the_table() -> None:
    for method, path in ENDPOINTS:
        row = next(line for line in PAGE.splitlines() if line.startswith("|") and path in line)
        assert f"`{method}" in row
