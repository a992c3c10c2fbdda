from datetime import timedelta

import pytest
import stripe

from infra.stripe_simulator import SettableClock, StripeSimulator
from tests.unit.stripe_simulator.caller import EVENTS, METERS, Caller
from tests.unit.stripe_simulator.conftest import START

NOW = int(START.timestamp())


def test_the_object_is_stripe_s(caller: Caller) -> None:
    assert caller.send("event-1", value="25", timestamp=NOW - 60).at() == {
        "object": "billing.meter_event",
        "created": NOW,
        "event_name": "storage-usage",
        "identifier": "event-1",
        "livemode": False,
        "payload": {"stripe_customer_id": "cus_a", "value": "25"},
        "timestamp": NOW - 60,
    }


def test_a_repeat_within_24_hours_is_refused(caller: Caller, clock: SettableClock) -> None:
    caller.send("event-1", value="1")
    clock.advance(timedelta(hours=23, minutes=59, seconds=59))
    answer = caller.send("event-1", value="2", customer="cus_b", event_name="file_processed")

    assert answer.status == 400
    assert answer.headers["Stripe-Should-Retry"] == "false"
    assert answer.at("error") == {
        "type": "invalid_request_error",
        "message": "An event already exists with identifier event-1.",
    }


def test_identifiers_are_forgotten_after_24_hours(
    caller: Caller, clock: SettableClock, simulator: StripeSimulator
) -> None:
    caller.send("event-1")
    clock.advance(timedelta(hours=24))

    assert caller.send("event-1").status == 200
    assert simulator.truth().totals[0].value == 10


def test_a_repeat_does_not_renew_the_24_hours(caller: Caller, clock: SettableClock) -> None:
    caller.send("event-1")
    clock.advance(timedelta(hours=23))
    assert caller.send("event-1").status == 400
    clock.advance(timedelta(hours=1))
    assert caller.send("event-1").status == 200


def test_an_identifier_is_made_up_where_none_is_given(caller: Caller) -> None:
    params = {
        "event_name": "storage-usage",
        "payload[stripe_customer_id]": "cus_a",
        "payload[value]": "1",
    }
    first, second = caller.post(EVENTS, params), caller.post(EVENTS, params)

    assert first.text("identifier") != second.text("identifier")


def test_an_identifier_has_at_most_100_characters(caller: Caller) -> None:
    assert caller.send("x" * 100).status == 200
    refused = caller.send("x" * 101)
    assert (refused.status, refused.at("error", "param")) == (400, "identifier")


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (-35 * 86400, None),
        (-35 * 86400 - 1, "timestamp_too_far_in_past"),
        (300, None),
        (301, "timestamp_in_future"),
    ],
)
def test_a_timestamp_lies_35_days_back_or_5_minutes_ahead(
    caller: Caller, offset: int, code: str | None
) -> None:
    answer = caller.send(timestamp=NOW + offset)

    assert answer.status == (200 if code is None else 400)
    if code is not None:
        assert answer.at("error", "code") == code
        assert answer.at("error", "param") == "timestamp"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("0", None),
        ("-5", None),
        ("999999999999999", None),
        ("000999999999999999", None),
        ("1000000000000000", "meter_event_value_too_many_digits"),
        ("-1000000000000000", "meter_event_value_too_many_digits"),
        ("1.5", "meter_event_invalid_value"),
        ("1e3", "meter_event_invalid_value"),
        ("five", "meter_event_invalid_value"),
        ("٣", "meter_event_invalid_value"),
        ("", "meter_event_value_not_found"),
    ],
)
def test_a_value_is_a_whole_number_of_15_digits(
    caller: Caller, value: str, code: str | None
) -> None:
    answer = caller.send(value=value)

    assert answer.status == (200 if code is None else 400)
    if code is not None:
        assert answer.at("error", "code") == code
        assert answer.at("error", "param") == "payload[value]"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"payload[value]": "1", "payload[stripe_customer_id]": "cus_a"}, "event_name"),
        ({"event_name": "storage-usage"}, "payload"),
        (
            {"event_name": "storage-usage", "payload[value]": "1"},
            "payload[stripe_customer_id]",
        ),
        (
            {"event_name": "storage-usage", "payload[stripe_customer_id]": "cus_a"},
            "payload[value]",
        ),
    ],
)
def test_what_is_missing_is_named(caller: Caller, params: dict[str, str], param: str) -> None:
    answer = caller.post(EVENTS, params)

    assert answer.status == 400
    assert answer.at("error", "param") == param


def test_an_unknown_event_name_is_refused_at_once(caller: Caller) -> None:
    answer = caller.send(event_name="unheard-of")

    assert answer.status == 400
    assert "unheard-of" in answer.text("error", "message")


def test_an_inactive_meter_takes_no_events(caller: Caller, simulator: StripeSimulator) -> None:
    meter = caller.get(METERS).text("data", 1, "id")
    caller.post(f"{METERS}/{meter}/deactivate")

    assert caller.send().status == 400
    caller.post(f"{METERS}/{meter}/reactivate")
    assert caller.send().status == 200
    assert len(simulator.truth().counted) == 1


@pytest.mark.parametrize("customer", ["cus_unknown", "cus_b"])
def test_an_unknown_or_deleted_customer_is_accepted_first(
    caller: Caller, simulator: StripeSimulator, customer: str
) -> None:
    caller.delete("/v1/customers/cus_b")

    assert caller.send(customer=customer).status == 200
    truth = simulator.truth()
    assert truth.counted == ()
    assert [event.code for event in truth.refused] == ["meter_event_customer_not_found"]


def test_other_payload_keys_are_honoured(caller: Caller, simulator: StripeSimulator) -> None:
    caller.post(
        METERS,
        {
            "display_name": "Own keys",
            "event_name": "own-keys",
            "default_aggregation[formula]": "sum",
            "customer_mapping[type]": "by_id",
            "customer_mapping[event_payload_key]": "who",
            "value_settings[event_payload_key]": "bytes",
        },
    )
    params = {"event_name": "own-keys", "payload[who]": "cus_b", "payload[bytes]": "7"}

    assert caller.post(EVENTS, params).status == 200
    assert [total.value for total in simulator.truth("cus_b").totals] == [7]


class TestCancellation:
    def test_a_cancelled_event_no_longer_counts(
        self, caller: Caller, simulator: StripeSimulator
    ) -> None:
        caller.send("event-1")

        assert caller.cancel("event-1").at() == {
            "object": "billing.meter_event_adjustment",
            "cancel": {"identifier": "event-1"},
            "event_name": "storage-usage",
            "livemode": False,
            "status": "pending",
            "type": "cancel",
        }
        truth = simulator.truth()
        assert (truth.counted, truth.totals) == ((), ())
        assert [event.identifier for event in truth.cancelled] == ["event-1"]

    def test_it_works_for_24_hours(self, caller: Caller, clock: SettableClock) -> None:
        caller.send("event-1")
        caller.send("event-2")
        clock.advance(timedelta(hours=24))
        assert caller.cancel("event-1").status == 200
        clock.advance(timedelta(seconds=1))
        assert caller.cancel("event-2").status == 400

    def test_it_works_once_and_only_for_what_is_there(self, caller: Caller) -> None:
        caller.send("event-1")

        assert caller.cancel("event-1", "file_processed").status == 400
        assert caller.cancel("event-2").at("error", "param") == "cancel[identifier]"
        assert caller.cancel("event-1").status == 200
        assert caller.cancel("event-1").status == 400

    def test_its_identifier_stays_taken(self, caller: Caller) -> None:
        caller.send("event-1")
        caller.cancel("event-1")
        assert caller.send("event-1").status == 400


def test_the_library_sends_and_cancels(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    payload = {"stripe_customer_id": "cus_a", "value": "12"}
    event = client.v1.billing.meter_events.create(
        {"event_name": "storage-usage", "identifier": "event-1", "payload": payload}
    )
    assert (event.identifier, event.payload["value"]) == ("event-1", "12")

    with pytest.raises(stripe.InvalidRequestError, match="already exists") as duplicate:
        client.v1.billing.meter_events.create(
            {"event_name": "storage-usage", "identifier": "event-1", "payload": payload}
        )
    assert duplicate.value.code is None
    assert duplicate.value.headers is not None
    assert duplicate.value.headers["Stripe-Should-Retry"] == "false"
    client.v1.billing.meter_event_adjustments.create(
        {
            "event_name": "storage-usage",
            "type": "cancel",
            "cancel": {"identifier": "event-1"},
        }
    )
    assert simulator.truth().cancelled[0].offers == 2
