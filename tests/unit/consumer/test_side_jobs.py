"""What a worker does beside the messages, none of which may stand in their way."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.unit.consumer.queue_world import SetClock
from worker.consumer.backlog import Backlog, Count
from worker.consumer.pulse import Pulse
from worker.consumer.queue_figures import QueueFigures
from worker.consumer.scale_in import ScaleInProtection
from worker.consumer.side_job import Vitals
from worker.health import examine
from worker.metrics import Metric, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def vitals(*, poll: float = 1, refused: float = 0, lease: float = 1, longest: float = 1) -> Vitals:
    return Vitals(
        poll_age=poll, refused_for=refused, lease_age=lease, in_hand=1, longest_in_hand=longest
    )


def counted(text: str) -> list[dict[str, int]]:
    """The metrics in what was written."""
    documents = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [
        {metric["Name"]: document[metric["Name"]] for metric in group["Metrics"]}
        for document in documents
        for group in document["_aws"]["CloudWatchMetrics"]
    ]


# --- The pulse -----------------------------------------------------------------------------------


def test_a_worker_that_is_well_says_so_each_minute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, path = SetClock(), tmp_path / "worker.json"
    pulse = Pulse(path, Metrics(clock), clock, 60)

    for _ in range(25):
        pulse.run(vitals())
        clock.sleep(5)

    assert counted(capsys.readouterr().out) == [{"WorkerAlive": 1}] * 3
    assert examine(path, clock.now().timestamp()).problem is None


@pytest.mark.parametrize("ill", [vitals(poll=201), vitals(lease=100), vitals(refused=601)])
def test_a_loop_that_stands_still_shows_though_the_process_lives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ill: Vitals
) -> None:
    clock, path = SetClock(), tmp_path / "worker.json"

    Pulse(path, Metrics(clock), clock, 60).run(ill)

    assert counted(capsys.readouterr().out) == []
    assert examine(path, clock.now().timestamp()).problem is not None


def test_a_file_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SetClock()
    pulse = Pulse(tmp_path / "no" / "folder", Metrics(clock), clock, 60)

    pulse.run(vitals())
    pulse.run(vitals())

    assert "".join(capsys.readouterr()).count("heartbeat_failed") == 1


def test_what_is_gathered_is_written_with_the_minute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SetClock()
    metrics = Metrics(clock)
    for _ in range(3):
        metrics.gather(Metric.DAILY_ROWS)

    Pulse(tmp_path / "worker.json", metrics, clock, 60).run(vitals())
    metrics.flush()

    assert counted(capsys.readouterr().out) == [{"DailyRowsWritten": 3}, {"WorkerAlive": 1}]


def test_there_are_at_most_ten_metrics() -> None:
    assert len(Metric) <= 10


# --- The queues' figures -------------------------------------------------------------------------


class CountingBacklog:
    def __init__(self, *, down: bool) -> None:
        self._down = down

    def of(self, _: object) -> Count:
        if self._down:
            raise EndpointConnectionError(endpoint_url="https://sqs.invalid/")
        return Count(visible=1, in_flight=2, delayed=3)

    def of_dead_letters(self, _: object) -> Count:
        return Count(visible=1, in_flight=0, delayed=0)


@pytest.mark.parametrize(
    ("down", "expected"), [(False, [{"MessagesWaiting": 30, "DeadLetters": 5}]), (True, [])]
)
def test_all_queues_are_one_figure(
    capsys: pytest.CaptureFixture[str], *, down: bool, expected: list[dict[str, int]]
) -> None:
    backlog = cast("Backlog", CountingBacklog(down=down))

    QueueFigures(backlog, Metrics(SetClock())).run(vitals())

    assert counted(capsys.readouterr().out) == expected


# --- Scale-in protection -------------------------------------------------------------------------


class Agent:
    """An ECS agent that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, bool | int]]] = []
        self.status = 200
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                agent.asked.append((self.path, json.loads(body)))
                self.send_response(agent.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_port}/api/task"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


def test_long_work_is_protected_while_it_lasts(agent: Agent) -> None:
    clock = SetClock()
    protection = ScaleInProtection(agent.uri, clock)
    path = "/api/task/task-protection/v1/state"
    on = (path, {"ProtectionEnabled": True, "ExpiresInMinutes": 30})
    off = (path, {"ProtectionEnabled": False})

    def run(seconds: int, longest: float) -> None:
        for _ in range(seconds // 15):
            protection.run(vitals(longest=longest))
            clock.sleep(15)

    run(600, 119)
    assert agent.asked == []
    run(600, 121)
    assert agent.asked == [on]
    run(600, 1500)
    assert agent.asked == [on, on]
    run(600, 3)
    assert agent.asked == [on, on, off]


def test_an_agent_that_refuses_or_is_not_there_is_no_error(
    agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.status = 400
    for uri in (agent.uri, "http://127.0.0.1:9/"):
        protection = ScaleInProtection(uri, SetClock())
        for _ in range(3):
            protection.run(vitals(longest=500))

    assert len(agent.asked) == 3
    assert "".join(capsys.readouterr()).count("scale_in_protection_failed") == 2
