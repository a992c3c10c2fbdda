"""The HTTP shell and the control endpoints, over real sockets."""

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import stripe

from infra.stripe_simulator import (
    AcceptThenHang,
    AcceptThenReset,
    Delay,
    Drop,
    Planted,
    Rule,
    Served,
    StripeSimulator,
    serve,
)

PAYLOAD = {"stripe_customer_id": "cus_a", "value": "5"}


class Control:
    """The control endpoints over one kept-alive connection."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)

    def call(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        encoded = None if body is None else json.dumps(body)
        self._connection.request(method, f"/_simulator/{path}", encoded)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def control(served: Served) -> Iterator[Control]:
    control = Control(served.url)
    yield control
    control.close()


def create(client: stripe.StripeClient, identifier: str) -> None:
    client.v1.billing.meter_events.create(
        {"event_name": "storage-usage", "identifier": identifier, "payload": PAYLOAD}
    )


def test_a_connection_is_kept_and_answers_do_not_wait(served: Served) -> None:
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=5)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/v1/account")
        assert connection.getresponse().read()
    assert connection.sock is first
    connection.close()


@pytest.mark.parametrize("fault", [Drop(), AcceptThenReset()])
def test_a_reset_is_a_reset(
    served: Served, simulator: StripeSimulator, fault: Drop | AcceptThenReset
) -> None:
    simulator.add_faults(Rule(fault=fault))
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(b"GET /v1/account HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            raw.recv(1)


def test_the_library_sees_a_connection_error_and_the_event_counts(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    simulator.add_faults(Rule(fault=AcceptThenReset()))
    with pytest.raises(stripe.APIConnectionError):
        create(client, "a")
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        create(client, "a")
    assert [event.offers for event in simulator.truth().counted] == [2]


def test_a_hang_outlasts_an_impatient_client_and_nobody_else(
    client: stripe.StripeClient, served: Served, simulator: StripeSimulator, planted: Planted
) -> None:
    assert planted.meters
    simulator.add_faults(Rule(fault=AcceptThenHang(seconds=60)))
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=0.1) as raw:
        raw.sendall(b"GET /v1/account HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            raw.recv(1)
        create(client, "a")
    assert len(simulator.truth().counted) == 1


def test_a_short_hang_ends_in_a_closed_connection(
    served: Served, simulator: StripeSimulator
) -> None:
    simulator.add_faults(Rule(fault=AcceptThenHang(seconds=0.01)))
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(b"GET /v1/account HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(1) == b""


def test_a_second_call_for_one_customer_and_meter_is_refused_while_the_first_runs(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    simulator.add_faults(Rule(fault=Delay(seconds=1)))
    first = threading.Thread(target=lambda: _ignore_loss(client, "a"))
    first.start()
    _until(lambda: bool(simulator.truth().counted))
    with pytest.raises(stripe.RateLimitError) as refused:
        create(client, "b")
    assert refused.value.error is not None
    assert refused.value.error.code == "lock_timeout"
    first.join(10)
    assert not first.is_alive()


def test_it_stops_quickly_with_a_hanging_client(simulator: StripeSimulator) -> None:
    simulator.add_faults(Rule(fault=AcceptThenHang(seconds=60)))
    with serve(simulator) as served:
        host, port = served.url.removeprefix("http://").split(":")
        raw = socket.create_connection((host, int(port)), timeout=5)
        raw.sendall(b"GET /v1/account HTTP/1.1\r\nHost: x\r\n\r\n")
        _until(lambda: bool(simulator.requests()))
        began = time.monotonic()
    assert time.monotonic() - began < 2
    raw.close()


def test_a_client_that_leaves_early_harms_nobody(
    served: Served, client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    head = b"POST /v1/billing/meter_events HTTP/1.1\r\nContent-Length: 99\r\n\r\n"
    for sent in (b"", b"POST /v1/cus", head + b"event_name=storage-usage"):
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass  # until the server closes
    create(client, "a")
    # What came incompletely was no request at all.
    assert [seen.identifier for seen in simulator.requests()] == ["a"]


@pytest.mark.parametrize("length", ["-1", "many"])
def test_a_length_that_is_no_number_is_refused(served: Served, length: str) -> None:
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=5)
    connection.request("POST", "/v1/customers", headers={"Content-Length": length})
    assert connection.getresponse().status == 400
    connection.close()


def test_it_runs_on_its_own() -> None:
    command = [sys.executable, "-m", "infra.stripe_simulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        assert process.stdout is not None
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        try:
            assert found is not None
            control = Control(found.group())
            status, _ = control.call("POST", "clock", {"now": "2026-11-01T00:00:00Z"})
            assert status == 200
            _, answer = control.call("GET", "clock")
            assert isinstance(answer, dict)
            assert answer["now"].startswith("2026-11-01T00:00:")
            control.close()
        finally:
            process.terminate()
    assert process.returncode == 0


def test_a_taken_port_is_explained(served: Served) -> None:
    command = [sys.executable, "-m", "infra.stripe_simulator", "--port", served.url.split(":")[-1]]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    assert ended.returncode == 2
    assert "try another --port" in ended.stderr
    assert "Traceback" not in ended.stderr


class TestControl:
    def test_seed_and_truth(self, control: Control) -> None:
        status, planted = control.call(
            "POST",
            "seed",
            {
                "meters": [{"event_name": "storage-usage", "unit_amount": "10"}],
                "customers": [{"id": "cus_a", "name": "A"}],
                "subscriptions": [{"customer": "cus_a", "started": "2026-09-01T00:00:00Z"}],
            },
        )
        assert status == 200
        assert planted == {
            "meters": {"storage-usage": "mtr_sim000001"},
            "prices": {"storage-usage": "price_sim000001"},
            "subscriptions": ["sub_sim000001"],
        }
        status, truth = control.call("GET", "truth?customer=cus_a&event_name=storage-usage")
        assert isinstance(truth, dict)
        assert truth["counted"] == []
        assert truth["lines"][0]["status"] == "draft"

    @pytest.mark.parametrize(
        "body",
        [
            {"customers": [{"id": "cus_a"}, {"id": "cus_a"}]},
            {
                "customers": [{"id": "cus_a"}],
                "subscriptions": [{"customer": "cus_a", "event_names": ["x"]}],
            },
            {"subscriptions": [{"customer": "cus_none"}]},
            {"unheard": 1},
        ],
    )
    def test_an_impossible_seed_is_explained(self, control: Control, body: object) -> None:
        status, answer = control.call("POST", "seed", body)
        assert status == 400
        assert isinstance(answer, dict)
        assert answer["error"]

    def test_faults(self, control: Control, simulator: StripeSimulator) -> None:
        rule = {"fault": {"kind": "accept_then_hang", "seconds": 3}, "match": {"method": "POST"}}
        assert control.call("POST", "faults", [rule, {"fault": "drop", "times": None}])[0] == 200
        assert [type(rule.fault) for rule in simulator.faults()] == [AcceptThenHang, Drop]
        # Control is never struck.
        assert control.call("DELETE", "faults") == (200, [])
        assert control.call("GET", "faults") == (200, [])
        assert control.call("POST", "faults", [{"fault": "explode"}])[0] == 400

    def test_clock(self, control: Control, simulator: StripeSimulator) -> None:
        control.call("POST", "clock", {"now": "2026-11-01T09:00:00+09:00"})
        assert simulator.clock() == datetime(2026, 11, 1, tzinfo=UTC)
        moved = control.call("POST", "clock", {"advance_seconds": 90})
        assert moved == (200, {"now": "2026-11-01T00:01:30+00:00"})
        assert control.call("POST", "clock", {"now": "2026-11-01T00:00:00"})[0] == 400

    def test_a_clock_that_belongs_to_another_cannot_be_moved(self) -> None:
        simulator = StripeSimulator(lambda: datetime(2026, 11, 1, tzinfo=UTC))
        with serve(simulator) as served:
            control = Control(served.url)
            assert control.call("POST", "clock", {"advance_seconds": 1})[0] == 400
            control.close()

    def test_settings_change_and_never_show_keys(self, control: Control) -> None:
        changes = {"grace_hours": 72, "api_keys": [{"secret": "sk_test_rotated"}]}
        status, answer = control.call("POST", "settings", changes)
        assert status == 200
        assert "rotated" not in json.dumps(answer)
        assert isinstance(answer, dict)
        assert answer["grace_hours"] == 72
        assert control.call("GET", "settings") == (200, answer)
        assert control.call("POST", "settings", {"grace_hours": 73})[0] == 400
        assert control.call("POST", "settings", {"self": 1})[0] == 400
        status, answer = control.call("POST", "settings", {"api_keys": [{"secret": "secret-1"}]})
        assert status == 400
        assert "secret-1" not in json.dumps(answer)

    def test_refuse_requests_and_reset(
        self, control: Control, client: stripe.StripeClient, simulator: StripeSimulator
    ) -> None:
        create(client, "a")
        assert control.call("POST", "refuse", {"identifier": "a", "code": "no_meter"})[0] == 200
        assert simulator.truth().refused[0].code == "no_meter"
        assert control.call("POST", "refuse", {"identifier": "a"})[0] == 400
        _, seen = control.call("GET", "requests")
        assert isinstance(seen, list)
        assert [entry["identifier"] for entry in seen] == ["a"]
        assert control.call("POST", "reset") == (200, {})
        assert simulator.requests() == ()
        assert simulator.truth().refused == ()

    def test_an_unknown_endpoint_is_404(self, control: Control) -> None:
        assert control.call("GET", "nothing")[0] == 404


def _ignore_loss(client: stripe.StripeClient, identifier: str) -> None:
    try:
        create(client, identifier)
    except stripe.APIConnectionError:
        return


def _until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited ten seconds in vain"
        time.sleep(0.005)
