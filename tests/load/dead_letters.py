"""A hundred thousand dead letters, by the command line alone: counted in, counted out.

    python -m tests.load.dead_letters --letters 100000

Lists, filters, predicts, and replays them; the replay is killed (SIGKILL) again and again and the
same command started anew. At the end every letter is on its queue once, or still dead, and nothing
twice. Prints the time and the peak memory of each command.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from infra.embedded_aws import EmbeddedAws
from infra.stack import deploy, template_path
from producers.messages import FileProcessed, SizeCustomer
from tests.load.queues import QueueServer
from worker.dead_letter import Death, dead_letter_attributes
from worker.ledger.codec import encode_item
from worker.ledger.fact import Fact, FactKind, StripeAccount
from worker.ledger.item import State
from worker.ledger.rules import first_item

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

SOURCE, DEAD = "file-processed", "file-processed-dlq"
CUSTOMERS = 1_000
# Of a hundred letters: sizings, runs that are billed already, and one whose bytes nobody knows.
BILLED, HOPELESS = 29, 1
MEMORY_BYTES = 400 * 1024 * 1024
_COMMAND = "import sys; from worker.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended: what it printed, its code, and what it took."""

    code: int
    printed: str
    said: str
    seconds: float
    peak_bytes: int

    def json(self) -> Any:  # noqa: ANN401 - a test reads JSON
        return json.loads(self.printed)


class Ground:
    """An installation whose queues bear a hundred thousand letters."""

    def __init__(self, aws: EmbeddedAws, queues: QueueServer, directory: Path) -> None:
        own = f"load{uuid.uuid4().hex[:8]}-"
        self._directory = directory
        self.environment = {
            **{name: value for name, value in os.environ.items() if "SIFTBEAM" not in name},
            **aws.environment(),
            "AWS_ENDPOINT_URL_SQS": queues.url,
            "SIFTBEAM_BUCKET": f"{own}files",
            "SIFTBEAM_TABLE_PREFIX": own,
            "SIFTBEAM_QUEUE_PREFIX": own,
            "SIFTBEAM_STRIPE_SECRET_ID": f"{own}key",
            # What a killed replay had in hand is shown again after this.
            "SIFTBEAM_VISIBILITY_SECONDS": "10",
            "XDG_STATE_HOME": str(directory / "state"),
        }
        self._own = own
        session = boto3.Session(
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name=self.environment["AWS_REGION"],
        )
        config = Config(tcp_keepalive=True, read_timeout=60)
        deploy(
            session.client("cloudformation", endpoint_url=aws.url),
            own.strip("-"),
            template_path("data"),
            {
                "TablePrefix": own,
                "QueuePrefix": own,
                "BucketName": f"{own}files",
                "StripeSecretName": f"{own}key",
                "SchedulesState": "DISABLED",
            },
        )
        self._sqs: SQSClient = session.client("sqs", endpoint_url=queues.url, config=config)
        self._dynamodb: DynamoDBClient = session.client("dynamodb", endpoint_url=aws.url)

    def url(self, queue: str) -> str:
        return self._sqs.get_queue_url(QueueName=self._own + queue)["QueueUrl"]

    def count(self, queue: str) -> int:
        """All messages of a queue, hidden ones too."""
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self.url(queue), AttributeNames=["All"]
        )["Attributes"]
        return sum(int(value) for name, value in attributes.items() if name.startswith("Approx"))

    def fill(self, letters: int) -> None:
        """Put dead letters there, and into the ledger what is billed already."""
        url = self.url(DEAD)
        for numbers in _tens(range(letters)):
            self._sqs.send_message_batch(
                QueueUrl=url,
                Entries=[
                    {
                        "Id": str(number),
                        "MessageBody": self._body(number),
                        "MessageAttributes": dead_letter_attributes({}, self._death(number)),
                    }
                    for number in numbers
                ],
            )
        now = datetime.now(UTC)
        billed = (number for number in range(letters) if _is_billed(number))
        for numbers in _tens(billed):
            self._dynamodb.batch_write_item(
                RequestItems={
                    f"{self._own}billing-ledger": [
                        {"PutRequest": {"Item": encode_item(_sent(number, now))}}
                        for number in numbers
                    ]
                }
            )

    def drain(self, queue: str) -> Counter[str]:
        """How often each body lies there; what is read is taken off."""
        url, found = self.url(queue), Counter[str]()
        while messages := self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0, VisibilityTimeout=600
        ).get("Messages"):
            found.update(message["Body"] for message in messages)
            self._sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                    for index, message in enumerate(messages)
                ],
            )
        return found

    def run(self, *arguments: str) -> Ended:
        """A command to its end."""
        return self._finish(self._start(arguments), None)

    def kill_when(self, moved: int, *arguments: str) -> Ended:
        """A command, killed once that many messages have arrived on the source queue."""
        return self._finish(self._start(arguments), moved)

    def _start(self, arguments: Sequence[str]) -> _Running:
        printed, said = (
            tempfile.NamedTemporaryFile(dir=self._directory, delete=False)  # noqa: SIM115 - read later
            for _ in range(2)
        )
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", _COMMAND, "dlq", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=said,
        )
        printed.close()
        said.close()
        return _Running(process, Path(printed.name), Path(said.name), time.monotonic())

    def _finish(self, running: _Running, kill_at: int | None) -> Ended:
        process, peak = running.process, 0
        while True:
            peak = _peak_bytes(process.pid) or peak
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid:
                break
            if kill_at is not None and self.count(SOURCE) >= kill_at:
                process.kill()
                kill_at = None
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        return Ended(
            process.returncode,
            running.printed.read_text(),
            running.said.read_text(),
            time.monotonic() - running.began,
            peak,
        )

    def _body(self, number: int) -> str:
        if number % 100 >= BILLED + HOPELESS:
            day = datetime(2026, 1, 1, tzinfo=UTC).date() + timedelta(days=number // CUSTOMERS)
            return SizeCustomer(customer_id=_customer(number), date=day).body()
        return FileProcessed(
            bucket=self.environment["SIFTBEAM_BUCKET"],
            key=f"service/output/{_customer(number)}/run{number}/out.csv",
            event_time=datetime.now(UTC),
        ).body()

    def _death(self, number: int) -> Death:
        return Death(
            error_type="NothingToBill" if number % 100 < HOPELESS else "GaveUp",
            error_message="it failed",
            failed_at=datetime.now(UTC),
            receive_count=3,
            source_queue=self._own + SOURCE,
            original_message_id=str(uuid.uuid4()),
        )


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    printed: Path
    said: Path
    began: float


def _peak_bytes(pid: int) -> int:
    """The most memory that a process has held so far; 0 where that cannot be told.

    Not by ``wait4``: its figure begins with what the process that forked held.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
    return int(found[1]) * 1024 if found else 0


class _Ends(dict[str, Ended]):
    """Each command's end by name, printed as it comes."""

    def __setitem__(self, name: str, end: Ended) -> None:
        super().__setitem__(name, end)
        sys.stdout.write(
            f"{name:<28} {end.seconds:8.1f} s  {end.peak_bytes / 1024**2:6.0f} MiB at its peak\n"
        )


def prove(letters: int, kills: int, answer_seconds: float = 0.0) -> Mapping[str, Ended]:
    """Do all of it; returns each command's end, by name.

    ``answer_seconds`` is how long SQS takes to say that a copy was sent: the longer, the likelier
    a kill falls in between.

    Raises:
        AssertionError: letters were lost, doubled or miscounted, or memory grew without bound.
    """
    hopeless = sum(number % 100 < HOPELESS for number in range(letters))
    billed = sum(_is_billed(number) for number in range(letters))
    ends = _Ends()
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedAws() as aws,
        QueueServer(1, answer_seconds) as queues,
    ):
        ground = Ground(aws, queues, Path(directory))
        ground.fill(letters)
        before = ground.count(DEAD)
        assert before == letters

        listed = ends["list"] = ground.run("list", "--json")
        assert listed.code == 0, listed.said
        assert listed.json()["letters"] == letters
        assert listed.json()["groupsCut"]["groups"] > 0
        assert len(listed.printed) < 20_000
        assert ground.count(DEAD) == letters

        some = ends["list, filtered"] = ground.run("list", "--json", "--reason", "NothingToBill")
        assert some.json()["letters"] == hopeless

        plan = ends["replay --dry-run"] = ground.run("replay", "--dry-run", "--json")
        assert plan.code == 0, plan.said
        assert plan.json()["forecasts"] == {
            "already_billed": billed,
            "would_fail": hopeless,
            "would_run": letters - billed - hopeless,
        }
        assert (ground.count(DEAD), ground.count(SOURCE)) == (letters, 0)

        for number in range(1, kills + 1):
            name = f"replay, killed {number}"
            killed = ends[name] = ground.kill_when(
                letters * number // (kills + 1), "replay", "--yes", "--json"
            )
            assert killed.code == -9, killed.said
        last = ends["replay, resumed to its end"] = ground.run("replay", "--yes", "--json")
        # Letters were skipped: a person has to look.
        assert last.code == 1, last.said
        assert last.json()["finished"], last.said
        assert "in_doubt" not in last.json()["outcomes"], last.printed
        out = ground.drain(SOURCE)
        assert max(out.values()) == 1, f"{sum(each > 1 for each in out.values())} were sent twice"
        assert len(out) == letters - hopeless, f"{len(out)} of {letters - hopeless} came out"
        assert ground.count(DEAD) == hopeless
    for name, end in ends.items():
        assert end.peak_bytes < MEMORY_BYTES, f"{name}: {end.peak_bytes:,} bytes"
    return ends


def _is_billed(number: int) -> bool:
    return HOPELESS <= number % 100 < HOPELESS + BILLED


def _customer(number: int) -> str:
    return f"cus_{number % CUSTOMERS:04}"


def _sent(number: int, now: datetime) -> Any:  # noqa: ANN401 - goes straight to the codec
    fact = Fact(
        kind=FactKind.FILE,
        customer_id=_customer(number),
        subject=f"run{number}",
        event_name="file_processed",
        value=5,
        stamped_at=now.replace(microsecond=0),
        account=StripeAccount(None, livemode=False),
        origin="{}",
    )
    return replace(first_item(fact, now), state=State.SENT)


def _tens(numbers: Iterator[int] | range) -> Iterator[list[int]]:
    iterator = iter(numbers)
    while some := list(itertools.islice(iterator, 10)):
        yield some


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=4)
    given = parser.parse_args()
    began = time.monotonic()
    prove(given.letters, given.kills)
    sys.stdout.write(
        f"{given.letters:,} letters in, {given.letters:,} out, none twice, "
        f"{time.monotonic() - began:.0f} s in all\n"
    )


if __name__ == "__main__":
    main()
