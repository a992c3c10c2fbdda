"""The command line from outside: exit codes, one clear line, no traceback, no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.stripe_simulator import DEFAULT_KEY, RunningClock
from producers.queues import Queue
from tests.integration.scenario import bill_body, last_month
from worker.cli import main

if TYPE_CHECKING:
    import subprocess

    from tests.integration.scenario import Scenario

PLANTED = "sk_live_planted4242"


@pytest.fixture
def wall() -> RunningClock:
    """Processes of their own read the machine's clock."""
    return RunningClock()


def output(ended: subprocess.CompletedProcess[str]) -> str:
    return " ".join((ended.stdout + ended.stderr).split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("enqueue", "daily", "--date", "2026-13-01"), "YYYY-MM-DD"),
        (("enqueue", "daily", "--date", "9990-01-01"), "has not begun"),
        (("enqueue", "daily", "--customer", "a/b"), "is not a customer id"),
        (("exclude", "a/b", "--why", "ours"), "is not a customer id"),
        (("report", "--html", "/nowhere/at/all.html"), "cannot be a file"),
        (("report", "--csv", "."), "cannot be a file"),
        (("enqueue", "daily", "--customer", ""), "is not a customer id"),
        (("enqueue", "monthly", "--month", "2026-13"), "no such month"),
        (("enqueue", "monthly", "--month", "October"), "YYYY-MM"),
        (("enqueue", "monthly", "--month", "9999-12"), "no such month"),
        (("enqueue", "monthly", "--month", "2999-12"), "has not ended"),
        (("preview", "--month", "2999-12"), "has not begun"),
        (("report", "--month", "2999-12"), "has not begun"),
        (("reconcile", "--month", "2999-12"), "has not begun"),
        (("enqueue", "file-processed"), "--key"),
        (("enqueue", "file-processed", "--key", "a", "--since", "b"), "--key"),
        (("enqueue", "file-processed", "--key", "service/input/cus_A/r/x"), "no output of a run"),
        (("enqueue", "file-processed", "--key", "service/output/c/a run/x"), "processing-history"),
        (("enqueue", "file-processed", "--since", "yesterday"), "ISO 8601"),
        (("enqueue", "file-processed", "--since", "2026-10-01T00:00:00"), "offset"),
        (("worker", "--queue", "nonsense"), "there is no queue"),
        (("nonsense",), "No such command"),
        (("worker", "--nonsense"), "No such option"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_why(
    arguments: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SIFTBEAM_STRIPE_API_KEY": PLANTED,
        "SIFTBEAM_LOG_LEVEL": "DEBUG",
        "COLUMNS": "400",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("worker.commands.opening.configure_logs", lambda _settings: None)

    with pytest.raises(SystemExit) as ended:
        main(arguments)

    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert said in shown.err
    assert "Traceback" not in shown.err + shown.out
    assert PLANTED not in shown.err + shown.out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIFTBEAM_CONCURRENCY", "many"),
        ("SIFTBEAM_STRIPE_API_KEY", "planted4242"),
        ("AWS_ENDPOINT_URL", "nonsense"),
        ("AWS_REGION", "no region"),
    ],
)
def test_a_wrong_setting_ends_with_2_and_names_its_variable(
    scenario: Scenario, name: str, value: str
) -> None:
    ended = scenario.cli("worker", "--drain", **{name: value})

    assert ended.returncode == 2
    assert name in ended.stderr
    assert "Traceback" not in output(ended)
    assert "planted" not in output(ended)


def test_aws_that_does_not_answer_is_said_in_a_line(scenario: Scenario) -> None:
    ended = scenario.cli("enqueue", "daily", AWS_ENDPOINT_URL="http://127.0.0.1:9")

    assert ended.returncode == 1
    assert "127.0.0.1:9" in ended.stderr
    assert "Traceback" not in output(ended)


def test_a_worker_without_credentials_ends_and_says_what_to_do(scenario: Scenario) -> None:
    ended = scenario.cli(
        *("worker", "--drain"),
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
        AWS_SHARED_CREDENTIALS_FILE="/nowhere",
        AWS_CONFIG_FILE="/nowhere",
        AWS_EC2_METADATA_DISABLED="true",
    )

    assert ended.returncode == 1
    assert "AWS_PROFILE" in ended.stderr
    assert "Traceback" not in output(ended)


def test_a_planted_key_shows_nowhere(scenario: Scenario) -> None:
    month = str(last_month())
    scenario.customers("cus_A")
    scenario.month("cus_A", month, [5])
    scenario.stack.clients.secrets.put_secret_value(
        SecretId=scenario.stack.secret_id,
        SecretString=json.dumps({"STRIPE_SECRET_KEY": PLANTED}),
    )
    scenario.send(Queue.MONTHLY_BILLING, bill_body("cus_A", month))
    environment = scenario.environment(
        SIFTBEAM_LOG_LEVEL="DEBUG", STRIPE_LOG="debug", SIFTBEAM_VISIBILITY_SECONDS="2"
    )
    del environment["SIFTBEAM_STRIPE_API_KEY"]
    worker = scenario.start(environment, "worker", "--queue", "monthly-billing")
    # The key is refused; the worker says so, and goes on trying.
    scenario.wait_for(worker, "401")

    worker.terminate()
    scenario.wait_for(worker, "consumer_stopped")

    assert worker.wait(20) == 0
    assert PLANTED not in worker.said()
    assert "planted4242" not in worker.said()
    fact = scenario.fact(f"storage-usage#cus_A#{month}")
    assert fact is None or PLANTED not in str(fact)


def test_a_month_by_the_command_line(scenario: Scenario) -> None:
    month = str(last_month())
    scenario.customers("cus_A", "cus_B")
    for customer in ("cus_A", "cus_B"):
        scenario.month(customer, month, [5])

    counted = scenario.cli("enqueue", "monthly", "--dry-run", "--json")
    assert json.loads(counted.stdout)["messages"] == 2
    assert scenario.waiting(Queue.MONTHLY_BILLING) == 0
    narrowed = scenario.cli("enqueue", "monthly", "--customer", "cus_A", "--json")
    assert json.loads(narrowed.stdout) == {
        "what": f"monthly billing of {month}",
        "dryRun": False,
        "messages": 1,
        "refused": 0,
        "refusedExamples": [],
    }
    ended = scenario.cli("worker", "--drain", "--queue", "monthly-billing")

    assert ended.returncode == 0, ended.stderr
    assert [event.customer for event in scenario.counted()] == ["cus_A"]
    assert DEFAULT_KEY not in output(ended)
    for line in ended.stderr.splitlines():
        assert "action" in json.loads(line)


def test_ids_that_can_be_nobodys_end_with_1(scenario: Scenario) -> None:
    scenario.put("customers", {"customerId": "a/b"})
    scenario.put("customers", {"customerId": "cus_A"})

    ended = scenario.cli("enqueue", "daily")

    assert ended.returncode == 1
    assert "1 message enqueued" in ended.stdout
    assert "left out: 'a/b'" in ended.stderr
