"""What the logs may hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import pytest
import structlog

from worker.logs import configure_logs
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANTED = "sk_live_planted4242"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def fail() -> None:
    """Fail with a key in a local variable, as the Stripe library's frames hold it."""
    headers = {"Authorization": f"Bearer {PLANTED}"}
    if headers:
        raise RuntimeError("the reason")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_variables(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"]
) -> None:
    configure_logs(Settings(log_format=form, log_level="DEBUG"))
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("a handler failed", action="handler_failed")

    shown = capsys.readouterr().err
    assert "RuntimeError" in shown
    assert "the reason" in shown
    assert "test_logs.py" in shown
    assert PLANTED not in shown


def test_a_line_is_one_json_object_with_its_action(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(log_level="INFO"))
    structlog.get_logger().info("hello\nthere", action="greeted", count=3)
    structlog.get_logger().debug("not shown", action="hidden")

    (line,) = capsys.readouterr().err.splitlines()
    content = json.loads(line)
    assert (content["event"], content["action"], content["count"]) == ("hello\nthere", "greeted", 3)
    assert content["level"] == "info"
    assert content["timestamp"].endswith("Z")
