"""``stripe setup`` and ``stripe check`` against the simulator, as a new operator would run them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from pydantic import SecretStr
from typer.testing import CliRunner

from infra.stripe_simulator import (
    DEFAULT_KEY,
    ApiKey,
    SettableClock,
    Settings,
    StripeSimulator,
    serve,
)
from worker.cli import app, main

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 1 << 30


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[stripe.StripeClient]:
    simulator = StripeSimulator(SettableClock(datetime(2026, 11, 1, tzinfo=UTC)))
    with serve(simulator) as served:
        monkeypatch.setenv("SIFTBEAM_STRIPE_API_BASE", served.url)
        monkeypatch.setenv("SIFTBEAM_STRIPE_API_KEY", DEFAULT_KEY)
        yield stripe.StripeClient(
            DEFAULT_KEY, base_addresses={"api": served.url}, max_network_retries=0
        )


def run(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    ran = CliRunner().invoke(app, ["stripe", *arguments, "--json"])
    assert ran.exit_code == code, ran
    pieces: list[dict[str, Any]] = json.loads(ran.stdout)["pieces"]
    return pieces


def found(pieces: list[dict[str, Any]]) -> list[str]:
    return [piece["found"] for piece in pieces]


def test_an_empty_account_is_set_up_once(client: stripe.StripeClient) -> None:
    assert found(run("check", code=1)) == ["missing"] * 6
    assert found(run("setup", "--dry-run", code=0)) == ["missing"] * 6
    assert client.v1.billing.meters.list().data == []

    assert found(run("setup")) == ["created"] * 6
    again = run("setup")

    assert found(again) == ["present"] * 6
    assert found(run("check")) == ["present"] * 6
    storage, file = client.v1.billing.meters.list().data[::-1]
    assert (storage.event_name, storage.default_aggregation.formula) == ("storage-usage", "sum")
    assert storage.value_settings.event_payload_key == "value"
    assert storage.customer_mapping.event_payload_key == "stripe_customer_id"
    assert (file.event_name, file.display_name) == ("file_processed", "File Processing (Bytes)")
    per_gib, per_byte = (client.v1.prices.retrieve(again[index]["id"]) for index in (2, 5))
    assert per_gib.unit_amount == 10
    assert per_gib.transform_quantity is not None
    assert (per_gib.transform_quantity.divide_by, per_gib.transform_quantity.round) == (GIB, "up")
    assert float(per_byte.unit_amount_decimal or 0) == 0.001
    assert client.v1.products.retrieve(again[4]["id"]).name == "File Processing"


def test_what_is_half_there_is_completed(client: stripe.StripeClient) -> None:
    client.v1.billing.meters.create(
        {
            "display_name": "x",
            "event_name": "storage-usage",
            "default_aggregation": {"formula": "sum"},
        }
    )
    product = client.v1.products.create({"name": "File Processing"}).id

    pieces = run("setup")

    assert found(pieces) == ["present", "created", "created", "created", "present", "created"]
    assert pieces[4]["id"] == product


@pytest.mark.usefixtures("client")
def test_exact_prices_by_the_byte_and_says_what_differs_otherwise() -> None:
    pieces = run("setup", "--exact")

    assert pieces[2]["name"].startswith("0.000000009313 usd")
    assert found(run("check", "--exact")) == ["present"] * 6
    plain = run("check", code=1)
    assert [piece["found"] for piece in plain] == [
        "present",
        "present",
        "differs",
        *["present"] * 3,
    ]
    (difference,) = plain[2]["differences"]
    assert "1 byte, and 1 GiB by the settings" in difference["what"]
    assert "decides every small bill" in difference["why"]


def test_a_price_that_differs_gets_another_beside_it(client: stripe.StripeClient) -> None:
    old = run("setup")[2]["id"]

    said = CliRunner().invoke(app, ["stripe", "setup", "--exact"])
    assert said.exit_code == 1
    (command,) = [line for line in said.stdout.splitlines() if line.endswith("--new-prices")]
    assert command.split() == ["siftbeam-billing", "stripe", "setup", "--exact", "--new-prices"]
    assert found(run("setup", "--exact", "--new-prices", "--dry-run", code=1))[2] == "differs"
    done = CliRunner().invoke(app, ["stripe", *command.split()[2:]])

    assert done.exit_code == 0, done
    new = run("check", "--exact")[2]["id"]
    assert new != old
    assert client.v1.prices.retrieve(old).active
    assert f"stripe get /v1/subscriptions -d price={old}" in done.stdout
    assert f"stripe post /v1/subscription_items/ITEM -d price={new}" in done.stdout
    assert f"stripe post /v1/prices/{old} -d active=false" in done.stdout
    # Again creates nothing more.
    assert run("setup", "--exact", "--new-prices")[2]["id"] == new
    assert len(client.v1.prices.list().data) == 3


@pytest.mark.usefixtures("client")
def test_the_command_for_another_price_names_what_was_wanted() -> None:
    wanted = ["--currency", "jpy", "--storage-price", "15", "--file-price", "0.0015"]
    run("setup", *wanted)
    wanted[3] = "16"

    said = CliRunner().invoke(app, ["stripe", "check", *wanted])

    assert f"siftbeam-billing stripe setup {' '.join(wanted)} --new-prices" in said.stdout


@pytest.mark.usefixtures("client")
def test_yen_need_their_own_prices() -> None:
    assert CliRunner().invoke(app, ["stripe", "setup", "--currency", "jpy"]).exit_code == 2

    pieces = run("setup", "--currency", "jpy", "--storage-price", "15", "--file-price", "0.0015")

    assert [pieces[index]["name"].split(" (")[0] for index in (2, 5)] == ["15 jpy", "0.0015 jpy"]


def test_a_meter_that_counts_otherwise_is_named_and_left(client: stripe.StripeClient) -> None:
    wrong = client.v1.billing.meters.create(
        {
            "display_name": "x",
            "event_name": "storage-usage",
            "default_aggregation": {"formula": "last"},
            "value_settings": {"event_payload_key": "bytes"},
        }
    )

    pieces = run("setup", code=1)

    assert found(pieces)[:3] == ["differs", "missing", "missing"]
    what = [each["what"] for each in pieces[0]["differences"]]
    assert what == [
        "it aggregates by 'last', and has to be 'sum'",
        "it finds the value under 'bytes', and has to be 'value'",
    ]
    assert "never be changed" in pieces[0]["differences"][0]["why"]
    assert [meter.id for meter in client.v1.billing.meters.list().data if meter.id != wrong.id] == [
        pieces[3]["id"]
    ]


def test_an_archived_meter_is_not_replaced(client: stripe.StripeClient) -> None:
    meter = run("setup")[0]["id"]
    client.v1.billing.meters.deactivate(meter)

    pieces = run("setup", code=1)

    assert (pieces[0]["found"], pieces[0]["id"]) == ("differs", meter)
    assert "Reactivate" in pieces[0]["differences"][0]["why"]
    client.v1.billing.meters.reactivate(meter)
    assert found(run("check")) == ["present"] * 6


def test_of_several_prices_the_right_one_is_found(client: stripe.StripeClient) -> None:
    pieces = run("setup")
    client.v1.prices.create(
        {
            "currency": "usd",
            "product": pieces[1]["id"],
            "unit_amount": 99,
            "recurring": {
                "interval": "month",
                "usage_type": "metered",
                "meter": pieces[0]["id"],
            },
        }
    )

    assert run("check")[2]["id"] == pieces[2]["id"]


def test_a_key_that_may_not_create_is_told_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = ApiKey(
        secret=SecretStr("rk_test_reader"),
        permissions=frozenset({"account_read", "billing_meter_read"}),
    )
    simulator = StripeSimulator(
        SettableClock(datetime(2026, 11, 1, tzinfo=UTC)), Settings(api_keys=(reader,))
    )
    with serve(simulator) as served:
        monkeypatch.setenv("SIFTBEAM_STRIPE_API_BASE", served.url)
        monkeypatch.setenv("SIFTBEAM_STRIPE_API_KEY", "rk_test_reader")
        with pytest.raises(SystemExit) as ended:
            main(["stripe", "setup"])

    assert ended.value.code == 1
    assert "meter storage-usage was not created" in capsys.readouterr().err
