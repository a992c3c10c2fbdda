"""The dead-letter commands, against letters that real workers wrote."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError
from typer.testing import CliRunner

from producers.billing_month import BillingMonth
from producers.messages import BillCustomerMonth, FileProcessed
from producers.queues import Queue
from worker.aws import connect
from worker.clock import SystemClock
from worker.commands import dlq, dlq_keeping, dlq_scope
from worker.dead_letters.browsing import Browsing
from worker.dead_letters.errors import AmbiguousLetter, BadManifest, UnknownLetter
from worker.dead_letters.forecast import Forecast, Verdict
from worker.dead_letters.letter import Letter, Reason
from worker.dead_letters.manifest import Manifest
from worker.dead_letters.manifest_shelf import ManifestShelf
from worker.dead_letters.replay_order import ReplayOrder
from worker.dead_letters.replay_report import Fate
from worker.dead_letters.selection import Selection
from worker.ledger.fact import Fact, FactKind, StripeAccount
from worker.ledger.item import State
from worker.ledger.rules import first_item
from worker.operator_installation import OperatorInstallation
from worker.settings import load_settings
from worker.usage import CustomerUsage, Measure, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, MessageTypeDef

    from tests.integration.conftest import DataStack

FILES = (Queue.FILE_PROCESSED,)
DEADLINE_SECONDS = 30.0
ALL = Selection()
FORCED = ReplayOrder(queues=FILES, force=True)


def nothing(_seen: int) -> None:
    """No progress bar."""


@pytest.fixture
def installation(
    stack: DataStack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OperatorInstallation]:
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    clients = connect(settings)
    yield OperatorInstallation(settings, clients, SystemClock())
    for client in (clients.s3, clients.sqs, clients.dynamodb, clients.secrets):
        client.close()


@pytest.fixture
def run(installation: OperatorInstallation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(dlq_scope, "open_installation", lambda: installation)
    return Run()


class Run:
    """The command line, in this process."""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(dlq.app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - a test reads JSON
        return json.loads(self(*arguments, "--json", code=code))


def letter_body(installation: OperatorInstallation, customer: str, run_id: str) -> str:
    return FileProcessed(
        bucket=installation.settings.bucket,
        key=f"service/output/{customer}/{run_id}/out.csv",
        event_time=installation.clock.now(),
    ).body()


def work(installation: OperatorInstallation) -> None:
    assert installation.consumer(FILES, until_empty=True).run()


def kill_letters(installation: OperatorInstallation, customers: Sequence[str]) -> None:
    """One run each, whose bytes nobody knows: a worker dead-letters it."""
    bodies = [
        letter_body(installation, customer, f"run{number}")
        for number, customer in enumerate(customers)
    ]
    installation.fan_out().again(Queue.FILE_PROCESSED, bodies)
    work(installation)
    assert dead(installation) == (len(customers), 0)


def dead(installation: OperatorInstallation) -> tuple[int, int]:
    count = installation.backlog.of_dead_letters(Queue.FILE_PROCESSED)
    return count.visible, count.in_flight


def receive_all(installation: OperatorInstallation, url: str) -> list[MessageTypeDef]:
    found: list[MessageTypeDef] = []
    while messages := installation.clients.sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=0,
        MessageAttributeNames=["All"],
    ).get("Messages"):
        found += messages
    return found


def test_list_disturbs_nothing(installation: OperatorInstallation, run: Run) -> None:
    kill_letters(installation, ["cus_A"] * 12 + ["cus_B"] * 8 + ["cus_C"] * 5)

    first, second = run.json("list"), run.json("list")

    assert {
        (group["kind"], group["reason"], group["customer"], group["count"])
        for group in first["groups"]
    } == {
        ("file_processed", "NothingToBill", "cus_A", 12),
        ("file_processed", "NothingToBill", "cus_B", 8),
        ("file_processed", "NothingToBill", "cus_C", 5),
    }
    assert all(queue["complete"] for queue in first["queues"])
    for listed in (first, second):
        for group in listed["groups"] + listed["reasons"]:
            del group["oldestAgeSeconds"]
    assert first == second
    assert dead(installation) == (25, 0)


def test_a_pass_that_breaks_shows_everything_again(installation: OperatorInstallation) -> None:
    kill_letters(installation, ["cus_A"] * 25)

    def interrupt(_seen: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        installation.dead_letters.inventory(FILES, interrupt)

    assert dead(installation) == (25, 0)


def test_a_letter_held_elsewhere_is_counted_as_not_seen(
    installation: OperatorInstallation, run: Run
) -> None:
    kill_letters(installation, ["cus_A"] * 3)
    url = installation.queues.dead_letter_url(Queue.FILE_PROCESSED)
    installation.clients.sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=1, VisibilityTimeout=600
    )

    listed = run.json("list", "--queue", "file-processed")

    assert listed["letters"] == 2
    assert listed["queues"] == [
        {"queue": "file-processed", "seen": 2, "missed": 1, "complete": False}
    ]


def test_a_filtered_replay_moves_one_customers_letters(
    installation: OperatorInstallation, run: Run
) -> None:
    kill_letters(installation, ["cus_A"] * 12 + ["cus_B"] * 8 + ["cus_C"] * 5)
    for number in range(12, 20):
        installation.clients.s3.put_object(
            Bucket=installation.settings.bucket,
            Key=f"service/input/cus_B/run{number}/in.csv",
            Body=b"x",
        )

    report = run.json("replay", "--customer", "cus_B", "--yes")

    assert report["outcomes"] == {"replayed": 8}
    assert report["forecasts"] == {"would_bill": 8}
    assert dead(installation) == (17, 0)
    moved = receive_all(installation, installation.queues.url(Queue.FILE_PROCESSED))
    assert Counter(json.loads(message["Body"])["key"].split("/")[2] for message in moved) == {
        "cus_B": 8
    }


def test_what_cannot_succeed_is_skipped_unless_forced(
    installation: OperatorInstallation, run: Run
) -> None:
    kill_letters(installation, ["cus_A"] * 3)

    skipped = run.json("replay", "--yes", code=1)
    assert skipped["outcomes"] == {"skipped": 3}
    assert "nothing lies under service/input/cus_A/run" in skipped["notes"][0]
    assert dead(installation) == (3, 0)

    forced = run.json("replay", "--yes", "--force", "--limit", "2")
    assert forced["outcomes"] == {"replayed": 2}
    assert dead(installation) == (1, 0)


def test_a_dry_run_changes_nothing(installation: OperatorInstallation, run: Run) -> None:
    kill_letters(installation, ["cus_A"] * 5)

    report = run.json("replay", "--dry-run", "--force")

    assert report["outcomes"] == {"would_replay": 5}
    assert report["forecasts"] == {"would_fail": 5}
    assert dead(installation) == (5, 0)
    assert installation.backlog.of(Queue.FILE_PROCESSED).total == 0


def test_without_a_terminal_and_without_yes_nothing_happens(
    installation: OperatorInstallation, run: Run
) -> None:
    kill_letters(installation, ["cus_A"])

    run("replay", "--force", code=2)

    assert dead(installation) == (1, 0)


TEN: dict[str, MessageAttributeValueTypeDef] = {
    "text": {"DataType": "String", "StringValue": "ä \U0001f600"},
    "custom": {"DataType": "String.json", "StringValue": "{}"},
    "number": {"DataType": "Number", "StringValue": "-1.5"},
    "count": {"DataType": "Number.int", "StringValue": "7"},
    "blob": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
    "picture": {"DataType": "Binary.png", "BinaryValue": b"\x89PNG"},
    "a": {"DataType": "String", "StringValue": "a"},
    "b": {"DataType": "String", "StringValue": "b"},
    "c": {"DataType": "String", "StringValue": "c"},
    "d": {"DataType": "String", "StringValue": "d"},
}


def test_a_replay_restores_the_attributes_and_the_body(
    installation: OperatorInstallation, run: Run
) -> None:
    source = installation.queues.url(Queue.FILE_PROCESSED)
    sent = {}
    for count in (1, 4, 5, 9, 10):
        body = letter_body(installation, "cus_A", f"run{count}").replace(",", ", \n")
        sent[body] = dict(itertools.islice(TEN.items(), count))
        installation.clients.sqs.send_message(
            QueueUrl=source, MessageBody=body, MessageAttributes=sent[body]
        )
    work(installation)
    assert dead(installation) == (5, 0)

    run.json("replay", "--yes", "--force")

    back = {each["Body"]: each["MessageAttributes"] for each in receive_all(installation, source)}
    assert back == sent


@pytest.mark.parametrize(("letters", "stopped"), [(5, False), (25, True)])
def test_a_replay_beside_a_worker_that_fails_again_ends(
    installation: OperatorInstallation, letters: int, *, stopped: bool
) -> None:
    kill_letters(installation, ["cus_A"] * letters)

    report = installation.dead_letters.replay(FORCED, lambda _: work(installation))

    assert report.fates == {Fate.REPLAYED: letters, Fate.CAME_BACK: letters}
    assert report.failed
    assert (report.stopped is not None) is stopped
    assert dead(installation) == (letters, 0)


def test_what_dies_of_something_else_meanwhile_is_left(installation: OperatorInstallation) -> None:
    kill_letters(installation, ["cus_A"])
    url = installation.queues.dead_letter_url(Queue.FILE_PROCESSED)

    def another_dies(_seen: int) -> None:
        # SQS stamps letters to the second, by its own clock.
        deadline = time.monotonic() + DEADLINE_SECONDS
        began = sqs_date(installation, url)
        while sqs_date(installation, url) == began and time.monotonic() < deadline:
            time.sleep(0.05)
        if not died:
            installation.clients.sqs.send_message(QueueUrl=url, MessageBody="new")
            died.append("new")

    died: list[str] = []
    report = installation.dead_letters.replay(FORCED, another_dies)

    assert report.fates == {Fate.REPLAYED: 1, Fate.ARRIVED_LATER: 1}
    assert dead(installation) == (1, 0)


def sqs_date(installation: OperatorInstallation, url: str) -> str:
    answer = installation.clients.sqs.get_queue_attributes(QueueUrl=url)
    return answer["ResponseMetadata"]["HTTPHeaders"]["date"]


def test_a_copy_is_confirmed_before_its_original_is_deleted(
    installation: OperatorInstallation,
) -> None:
    kill_letters(installation, ["cus_A"] * 3)

    with crash_before(installation, "DeleteMessageBatch"), pytest.raises(Crash):
        installation.dead_letters.replay(FORCED, nothing)

    assert dead(installation) == (3, 0)
    assert installation.backlog.of(Queue.FILE_PROCESSED).visible == 3


def test_a_letter_is_on_the_disk_before_a_purge_deletes_it(
    installation: OperatorInstallation, tmp_path: Path
) -> None:
    kill_letters(installation, ["cus_A"] * 3)

    with crash_before(installation, "DeleteMessageBatch"), pytest.raises(Crash):
        installation.dead_letters.purge(FILES, ALL, tmp_path / "purged", nothing)

    assert len(lines(tmp_path / "purged")) == 3
    assert dead(installation) == (3, 0)


class Crash(BaseException):
    """No handler of exceptions sees it."""


@contextlib.contextmanager
def crash_before(installation: OperatorInstallation, call: str) -> Iterator[None]:
    def crash(**_: object) -> None:
        raise Crash

    events, name = installation.clients.sqs.meta.events, f"before-call.sqs.{call}"
    events.register(name, crash)
    yield
    events.unregister(name, crash)


def test_a_letter_that_its_queue_refuses_holds_up_no_other(
    installation: OperatorInstallation, run: Run
) -> None:
    kill_letters(installation, ["cus_A"] * 3)
    url = installation.queues.dead_letter_url(Queue.FILE_PROCESSED)
    installation.clients.sqs.send_message(QueueUrl=url, MessageBody="x" * 300_000)

    report = run.json("replay", "--force", "--yes", code=1)

    assert report["outcomes"] == {"failed": 1, "replayed": 3}
    assert any("not sent: " in note for note in report["notes"])
    assert dead(installation) == (1, 0)


def test_a_rate_is_kept(installation: OperatorInstallation) -> None:
    url = installation.queues.dead_letter_url(Queue.FILE_PROCESSED)
    for _ in range(6):
        installation.clients.sqs.send_message(QueueUrl=url, MessageBody="{}")
    started = time.monotonic()

    report = installation.dead_letters.replay(FORCED.model_copy(update={"per_second": 4}), nothing)

    assert report.fates == {Fate.REPLAYED: 6}
    assert time.monotonic() - started >= 6 / 4


def test_ids_by_their_beginning_and_the_original_id(
    installation: OperatorInstallation, run: Run
) -> None:
    kill_letters(installation, ["cus_A"] * 2)
    office = installation.dead_letters
    with pytest.raises(UnknownLetter, match="no letter 'nobody' can be seen"):
        office.find(["nobody"], FILES, nothing)
    with pytest.raises(UnknownLetter, match="too short"):
        office.find(["a"], FILES, nothing)
    url = installation.queues.dead_letter_url(Queue.FILE_PROCESSED)
    attributes: dict[str, MessageAttributeValueTypeDef] = {
        name: {"DataType": "String", "StringValue": value}
        for name, value in {
            "errorType": "X",
            "errorMessage": "x",
            "failedAt": "2026-11-01T00:00:00Z",
            "receiveCount": "1",
            "sourceQueue": "elsewhere",
            "originalMessageId": "zzzz-1",
        }.items()
    }
    for _ in range(2):
        installation.clients.sqs.send_message(
            QueueUrl=url, MessageBody="no JSON", MessageAttributes=attributes
        )
    with pytest.raises(AmbiguousLetter, match=r"'zzzz' fits 2 letters: .*write more of the id"):
        office.find(["zzzz"], FILES, nothing)

    message = next(
        each for each in office_letters(installation) if each["reason"]["type"] == "NothingToBill"
    )
    for name in (message["messageId"], message["originalMessageId"], message["messageId"][:13]):
        shown = run.json("show", name)
        assert shown["messageId"] == message["messageId"]
        assert shown["replay"]["verdict"] == "would_fail"
    assert "a replay now      would fail: nothing lies under" in run("show", message["messageId"])
    report = run.json("replay", "--id", message["originalMessageId"], "--force", "--yes")
    assert report["outcomes"] == {"replayed": 1}
    assert dead(installation) == (3, 0)


def office_letters(installation: OperatorInstallation) -> list[dict[str, Any]]:
    found = []
    count = installation.backlog.of_dead_letters(Queue.FILE_PROCESSED)
    url = installation.queues.dead_letter_url(Queue.FILE_PROCESSED)
    with Browsing(
        installation.clients.sqs,
        Queue.FILE_PROCESSED,
        url,
        count=count,
        clock=installation.clock,
    ) as browsing:
        for letters in browsing:
            found += [
                {
                    "messageId": each.message_id,
                    "originalMessageId": each.original_message_id,
                    "reason": {"type": each.reason.type},
                }
                for each in letters
            ]
    return found


def test_two_thousand_letters_are_listed_within_bounded_calls(
    installation: OperatorInstallation,
) -> None:
    total = 2_000
    url = installation.queues.dead_letter_url(Queue.FILE_PROCESSED)
    body = letter_body(installation, "cus_A", "run1")
    for start in range(0, total, 10):
        installation.clients.sqs.send_message_batch(
            QueueUrl=url,
            Entries=[{"Id": str(start + n), "MessageBody": body} for n in range(10)],
        )
    calls: Counter[str] = Counter()
    lock = threading.Lock()

    def count(model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own event
        with lock:
            calls[model.name] += 1

    installation.clients.sqs.meta.events.register("before-call.sqs", count)
    inventory = installation.dead_letters.inventory(FILES, nothing)

    assert inventory.total == total
    assert [sight.complete for sight in inventory.sights] == [True]
    assert calls["ReceiveMessage"] <= total // 10 + 20
    assert calls["ChangeMessageVisibilityBatch"] == total // 10
    assert dead(installation) == (total, 0)


def test_letters_of_others_say_who_put_them_there(
    installation: OperatorInstallation, run: Run
) -> None:
    url = installation.queues.dead_letter_url(Queue.SCHEDULE)
    event = {
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "time": "2026-11-01T02:00:00Z",
        "resources": ["arn:aws:events:ap-northeast-1:000000000000:rule/siftbeam-monthly"],
    }
    own: dict[str, MessageAttributeValueTypeDef] = {
        name: {"DataType": "String", "StringValue": value}
        for name, value in {
            "RULE_ARN": event["resources"][0],
            "TARGET_ARN": "arn:aws:sqs:ap-northeast-1:000000000000:siftbeam-schedule",
            "ERROR_CODE": "NO_PERMISSIONS",
            "ERROR_MESSAGE": "denied",
            "RETRY_ATTEMPTS": "0",
        }.items()
    }
    installation.clients.sqs.send_message(
        QueueUrl=url, MessageBody=json.dumps(event), MessageAttributes=own
    )

    [group] = run.json("list", "--queue", "schedule")["groups"]
    assert (group["kind"], group["reason"]) == ("tick", "NO_PERMISSIONS")

    assert run.json("replay", "--yes")["outcomes"] == {"replayed": 1}
    [message] = receive_all(installation, installation.queues.url(Queue.SCHEDULE))
    assert json.loads(message["Body"]) == event
    assert "MessageAttributes" not in message


def test_a_purge_says_how_many_letters_it_would_remove(
    installation: OperatorInstallation,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kill_letters(installation, ["cus_0", "cus_1", "cus_0"])
    # There is somebody to ask.
    monkeypatch.setattr(dlq_keeping, "must_be_confirmable", lambda *_, **__: None)
    to = tmp_path / "purged"

    asked = CliRunner().invoke(
        dlq.app, ["purge", "--to", str(to), "--customer", "cus_0"], input="n\n"
    )

    assert asked.exit_code == 1
    assert "Remove 2 letters" in asked.stderr
    assert not to.exists()
    assert run.json("list")["letters"] == 3


def test_purge_and_import_lose_nothing(
    installation: OperatorInstallation, run: Run, tmp_path: Path
) -> None:
    source = installation.queues.url(Queue.FILE_PROCESSED)
    for number, attributes in enumerate((3, 4, 9)):
        installation.clients.sqs.send_message(
            QueueUrl=source,
            MessageBody=letter_body(installation, "cus_A", f"run{number}"),
            MessageAttributes=dict(itertools.islice(TEN.items(), attributes)),
        )
    work(installation)
    exported, purged = tmp_path / "exported", tmp_path / "purged"

    run("export", "--to", str(exported))
    assert dead(installation) == (3, 0)
    run("purge", "--to", str(purged), "--yes")
    assert dead(installation) == (0, 0)
    assert lines(purged) == lines(exported)

    run("import", str(purged))
    again = tmp_path / "again"
    run("export", "--to", str(again))
    for new, old in zip(by_key(again), by_key(purged), strict=True):
        assert (new["body"], new["attributes"]) == (old["body"], old["attributes"])


def lines(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


def by_key(path: Path) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in lines(path)), key=lambda each: str(each["body"]))


@pytest.mark.parametrize(
    ("state", "verdict", "text"),
    [
        (State.PLANNED, Verdict.WOULD_BILL, "5 bytes, as frozen"),
        (State.SENT, Verdict.ALREADY_BILLED, "is sent (5 bytes)"),
        (State.CONFIRMED, Verdict.ALREADY_BILLED, "is confirmed"),
        (State.REJECTED, Verdict.STUCK, "ledger says rejected for file_processed#run1: the why"),
        (State.REFUSED, Verdict.STUCK, "ledger says refused"),
        (State.MANUAL, Verdict.STUCK, "ledger says manual"),
        (State.SKIPPED, Verdict.NOT_BILLED, "is skipped: the why"),
    ],
)
def test_the_forecast_follows_the_ledger(
    installation: OperatorInstallation, state: State, verdict: Verdict, text: str
) -> None:
    freeze(installation, state, age=timedelta(days=1))

    forecast = forecast_of(installation, letter_body(installation, "cus_A", "run1"))

    assert forecast.verdict is verdict
    assert text in forecast.text
    assert forecast.hopeless is (verdict is Verdict.STUCK)


def test_the_forecast_knows_stripes_thirty_five_days(installation: OperatorInstallation) -> None:
    freeze(installation, State.PLANNED, age=timedelta(days=36))

    frozen = forecast_of(installation, letter_body(installation, "cus_A", "run1"))

    assert frozen.verdict is Verdict.TOO_OLD
    assert "over 35 days old" in frozen.text


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({"status": "completed", "usageAmountBytes": 7}, Verdict.WOULD_BILL),
        ({"status": "completed"}, Verdict.WOULD_FAIL),
        ({"status": "failed"}, Verdict.NOT_BILLED),
        ({"status": "in_progress"}, Verdict.WOULD_WAIT),
        ({"status": "completed", "customerId": "cus_B", "usageAmountBytes": 7}, Verdict.WOULD_FAIL),
        (None, Verdict.WOULD_FAIL),
    ],
)
def test_the_forecast_follows_the_history(
    installation: OperatorInstallation, row: dict[str, str | int] | None, verdict: Verdict
) -> None:
    if row is not None:
        installation.clients.dynamodb.put_item(
            TableName=installation.tables.history,
            Item={
                "processing-historyId": {"S": "run1"},
                **{
                    name: {"N": str(value)} if isinstance(value, int) else {"S": value}
                    for name, value in row.items()
                },
            },
        )

    forecast = forecast_of(installation, letter_body(installation, "cus_A", "run1"))

    assert forecast.verdict is verdict


def test_the_forecast_of_a_month(installation: OperatorInstallation) -> None:
    month = BillingMonth.ended_before(installation.clock.now())
    body = BillCustomerMonth(customer_id="cus_A", billing_month=str(month)).body()
    running = BillingMonth.containing(installation.clock.now())
    early = BillCustomerMonth(customer_id="cus_A", billing_month=str(running)).body()

    assert "has not ended" in forecast_of(installation, early).text
    assert "no daily row" in forecast_of(installation, body).text
    usage = CustomerUsage(uploaded=Usage(7, 1), produced=Usage(0, 0))
    installation.daily.record("cus_A", month.first_day, Measure(usage), installation.clock.now())
    assert forecast_of(installation, body).verdict is Verdict.WOULD_BILL


def test_a_body_that_no_worker_reads_is_hopeless(installation: OperatorInstallation) -> None:
    forecast = forecast_of(installation, "no JSON")

    assert forecast.verdict is Verdict.UNREADABLE
    assert forecast.hopeless


def freeze(installation: OperatorInstallation, state: State, *, age: timedelta) -> None:
    now = installation.clock.now()
    fact = Fact(
        kind=FactKind.FILE,
        customer_id="cus_A",
        subject="run1",
        event_name="file_processed",
        value=5,
        stamped_at=(now - age).replace(microsecond=0),
        account=StripeAccount(None, livemode=False),
        origin="{}",
    )
    installation.ledger.freeze(replace(first_item(fact, now), state=state, last_error="the why"))


def forecast_of(installation: OperatorInstallation, body: str) -> Forecast:
    letter = Letter(
        queue=Queue.FILE_PROCESSED,
        message_id="id",
        receipt_handle="handle",
        body=body,
        attributes={},
        own={},
        death=None,
        reason=Reason("GaveUp", "x"),
        sent_at=installation.clock.now(),
    )
    return installation.dead_letters.forecast(letter)[1]


def begun(installation: OperatorInstallation, path: Path, order: ReplayOrder = FORCED) -> Manifest:
    return Manifest.begin(path, installation.dead_letters.header(order), installation.clock)


def copies(installation: OperatorInstallation) -> Counter[str]:
    url = installation.queues.url(Queue.FILE_PROCESSED)
    return Counter(message["Body"] for message in receive_all(installation, url))


def test_what_was_sent_before_a_crash_is_deleted_and_not_sent_again(
    installation: OperatorInstallation, tmp_path: Path
) -> None:
    kill_letters(installation, ["cus_A"] * 5)
    office, path = installation.dead_letters, tmp_path / "manifest"
    with crash_before(installation, "DeleteMessageBatch"), begun(installation, path) as manifest:
        # Three of the five are meant.
        limited = manifest.header.order.model_copy(update={"limit": 3})
        with pytest.raises(Crash):
            office.replay(limited, nothing, manifest=manifest)
    assert dead(installation) == (5, 0)

    with Manifest.resume(path, installation.clock) as manifest:
        report = office.replay(manifest.header.order, nothing, manifest=manifest)

    assert report.fates == {Fate.SENT_BEFORE: 3, Fate.REPLAYED: 2}
    assert report.finished
    assert dead(installation) == (0, 0)
    assert sorted(copies(installation).values()) == [1] * 5


def test_what_may_have_been_sent_is_left_until_a_person_says_so(
    installation: OperatorInstallation, run: Run, tmp_path: Path
) -> None:
    kill_letters(installation, ["cus_A"] * 3)
    path = tmp_path / "manifest"
    with begun(installation, path) as manifest:
        # The process ended after SQS took the copies and before it could write that down.
        with crash_before(installation, "SendMessageBatch"), pytest.raises(Crash):
            installation.dead_letters.replay(FORCED, nothing, manifest=manifest)
        assert dead(installation) == (3, 0)

    left = run.json("replay", "--resume", str(path), "--yes", code=1)
    assert left["outcomes"] == {"in_doubt": 3}
    assert not left["finished"]
    assert dead(installation) == (3, 0)

    sent = run.json("replay", "--resume", str(path), "--send-in-doubt", "--yes")
    assert sent["outcomes"] == {"replayed": 3}
    assert sent["finished"]
    assert dead(installation) == (0, 0)
    with pytest.raises(BadManifest, match="nothing is left to resume"):
        run("replay", "--resume", str(path), "--yes")


def test_the_same_command_resumes_and_another_is_held_up(
    installation: OperatorInstallation, run: Run
) -> None:
    kill_letters(installation, ["cus_A"] * 4)
    shelf = ManifestShelf.of_user()
    with (
        crash_before(installation, "DeleteMessageBatch"),
        begun(installation, shelf.place(installation.clock.now())) as manifest,
        pytest.raises(Crash),
    ):
        installation.dead_letters.replay(FORCED, nothing, manifest=manifest)

    with pytest.raises(BadManifest, match="another replay of these queues was interrupted"):
        run("replay", "--yes", "--customer", "cus_A")
    report = run.json("replay", "--yes", "--force", "--queue", "file-processed")

    assert report["outcomes"] == {"sent_before": 4}
    assert sorted(copies(installation).values()) == [1] * 4
    # Nothing is left behind, so other replays are free.
    assert run.json("replay", "--yes", "--customer", "cus_A")["outcomes"] == {}


@pytest.mark.parametrize("skipped", [0, 1])
def test_what_an_earlier_process_left_hidden_does_not_keep_a_replay_open(
    installation: OperatorInstallation, tmp_path: Path, skipped: int
) -> None:
    kill_letters(installation, ["cus_A"])
    installation.clients.sqs.receive_message(
        QueueUrl=installation.queues.dead_letter_url(Queue.FILE_PROCESSED), VisibilityTimeout=600
    )
    with begun(installation, tmp_path / "manifest") as manifest:
        # Sent and deleted, and killed before the second could be written down.
        manifest.journal.sent({"gone": "copy"})
        manifest.journal.skipped(skipped)

    with Manifest.resume(tmp_path / "manifest", installation.clock) as manifest:
        report = installation.dead_letters.replay(FORCED, nothing, manifest=manifest)

    # What is hidden and was not skipped may be the very letter.
    assert report.finished is bool(skipped)


def test_a_manifest_says_which_letters_so_filters_are_refused_beside_it(
    installation: OperatorInstallation, run: Run, tmp_path: Path
) -> None:
    with begun(installation, tmp_path / "manifest"):
        pass

    run("replay", "--resume", str(tmp_path / "manifest"), "--force", "--yes", code=2)


def test_a_copy_that_sqs_did_not_confirm_is_not_sent_again(
    installation: OperatorInstallation, tmp_path: Path
) -> None:
    kill_letters(installation, ["cus_A"] * 2)
    events = installation.clients.sqs.meta.events

    def cut_off(**_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://sqs")

    events.register("after-call.sqs.SendMessageBatch", cut_off)
    with begun(installation, tmp_path / "manifest") as manifest:
        report = installation.dead_letters.replay(FORCED, nothing, manifest=manifest)
    events.unregister("after-call.sqs.SendMessageBatch", cut_off)

    assert report.fates == {Fate.IN_DOUBT: 2}
    assert report.failed
    assert dead(installation) == (2, 0)
    assert sum(copies(installation).values()) == 2


def test_a_long_list_is_cut_and_says_so(installation: OperatorInstallation, run: Run) -> None:
    kill_letters(installation, [f"cus_{number:03}" for number in range(30)] + ["cus_000"] * 5)

    listed = run.json("list", "--top", "10")
    assert [(group["customer"], group["count"]) for group in listed["groups"]][:1] == [
        ("cus_000", 6)
    ]
    assert len(listed["groups"]) == 10
    assert listed["groupsCut"] == {"groups": 20, "letters": 20}
    assert [group["count"] for group in listed["reasons"]] == [35]

    text = run("list", "--top", "10")
    assert "35 dead letters" in text
    assert "the largest 10 of 30 groups by customer" in text
    assert "cut: 20 more groups with 20 letters" in text
    assert run.json("list", "--customer", "cus_000")["letters"] == 6
