from datetime import timedelta

import pytest
import stripe

from infra.stripe_simulator import Planted, SettableClock, StripeSimulator
from tests.unit.stripe_simulator.caller import Caller

EVENTS = "/v2/core/events"
TRIGGERED = "v1.billing.meter.error_report_triggered"
NO_METER = "v1.billing.meter.no_meter_found"


def test_a_report_names_code_count_samples_and_meter(caller: Caller, planted: Planted) -> None:
    caller.send("lost-1", customer="cus_none")
    report = caller.get(EVENTS)
    meter = planted.meters["storage-usage"]

    assert report.at("data", 0, "type") == TRIGGERED
    assert report.at("data", 0, "object") == "v2.core.event"
    assert report.at("data", 0, "created") == "2026-10-01T00:00:00.000Z"
    assert report.at("data", 0, "related_object") == {
        "id": meter,
        "type": "billing.meter",
        "url": f"/v1/billing/meters/{meter}",
    }
    assert report.at("data", 0, "data") == {
        "developer_message_summary": "There is 1 invalid event",
        "validation_start": "2026-10-01T00:00:00.000Z",
        "validation_end": "2026-10-01T00:00:00.000Z",
        "reason": {
            "error_count": 1,
            "error_types": [
                {
                    "code": "meter_event_customer_not_found",
                    "error_count": 1,
                    "sample_errors": [
                        {
                            "error_message": (
                                f"No customer cus_none was found for the meter {meter}."
                            ),
                            "request": {"identifier": "lost-1"},
                        }
                    ],
                }
            ],
        },
    }


def test_reports_come_after_the_delay_and_gather(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    simulator.change_settings(report_delay_seconds=3600, report_samples=2)
    for number in range(3):
        caller.send(f"lost-{number}", customer="cus_none")
        clock.advance(timedelta(minutes=1))
    caller.send("archived")
    simulator.refuse("archived", "archived_meter")

    assert caller.get(EVENTS).column("id") == []
    clock.advance(timedelta(minutes=57))
    report = caller.get(EVENTS)
    assert len(report.column("id")) == 1
    reason = ("data", 0, "data", "reason")
    assert report.at(*reason, "error_count") == 4
    assert report.column("code", *reason, "error_types") == [
        "archived_meter",
        "meter_event_customer_not_found",
    ]
    assert report.column("error_count", *reason, "error_types") == [1, 3]
    assert len(report.column("request", *reason, "error_types", 1, "sample_errors")) == 2
    assert report.at("data", 0, "data", "validation_start") == "2026-10-01T00:00:00.000Z"
    assert report.at("data", 0, "data", "validation_end") == "2026-10-01T01:00:00.000Z"


def test_each_meter_has_a_report_of_its_own(caller: Caller, planted: Planted) -> None:
    caller.send("a", customer="cus_none")
    caller.send("b", customer="cus_none", event_name="file_processed")

    assert len(caller.get(EVENTS).column("id")) == 2
    of_one = caller.get(EVENTS, {"object_id": planted.meters["file_processed"]})
    assert of_one.at("data", 0, "related_object", "id") == planted.meters["file_processed"]


def test_a_missing_meter_is_a_report_without_related_object(
    caller: Caller, simulator: StripeSimulator
) -> None:
    caller.send("a")
    simulator.refuse("a", "no_meter")
    report = caller.get(EVENTS, {"types[0]": NO_METER})

    assert report.at("data", 0, "type") == NO_METER
    assert report.at("data", 0, "related_object") is None
    assert caller.get(EVENTS, {"types[0]": TRIGGERED}).column("id") == []


@pytest.mark.parametrize(
    ("bound", "minutes"),
    [("gte", [2, 1]), ("gt", [2]), ("lte", [1, 0]), ("lt", [0])],
)
@pytest.mark.parametrize("name", ["created[{}]", "created_{}"])
def test_reports_are_found_by_time(
    caller: Caller, clock: SettableClock, bound: str, minutes: list[int], name: str
) -> None:
    for number in range(3):
        caller.send(f"lost-{number}", customer="cus_none")
        caller.get(EVENTS)
        clock.advance(timedelta(minutes=1))
    found = caller.get(EVENTS, {name.format(bound): "2026-10-01T00:01:00Z"})

    assert found.column("created") == [f"2026-10-01T00:0{minute}:00.000Z" for minute in minutes]


def test_reports_are_kept_for_30_days(caller: Caller, clock: SettableClock) -> None:
    caller.send("lost", customer="cus_none")
    report = caller.get(EVENTS).text("data", 0, "id")
    clock.advance(timedelta(days=30))
    assert caller.get(f"{EVENTS}/{report}").status == 200
    clock.advance(timedelta(seconds=1))
    assert caller.get(f"{EVENTS}/{report}").status == 404
    assert caller.get(EVENTS).column("id") == []


def test_wrong_filters_are_refused(caller: Caller) -> None:
    for text in ("yesterday", "2026-10-01T00:00:00"):
        answer = caller.get(EVENTS, {"created_gte": text})
        assert (answer.status, answer.at("error", "param")) == (400, "created[gte]")
    assert caller.get(EVENTS, {"limit": "0"}).at("error", "param") == "limit"
    assert caller.get(EVENTS, {"page": "evt_none"}).at("error", "param") == "page"


def test_the_library_pages_and_retrieves(client: stripe.StripeClient, caller: Caller) -> None:
    for number in range(5):
        caller.send(f"lost-{number}", customer="cus_none")
        caller.get(EVENTS)
    pages = client.v2.core.events.list(
        {"types": [TRIGGERED], "limit": 2, "created": {"gte": "2026-10-01T00:00:00Z"}}
    )
    ids = [event.id for event in pages.auto_paging_iter()]
    assert ids == [f"evt_sim00000{number}" for number in (5, 4, 3, 2, 1)]

    event = client.v2.core.events.retrieve(ids[-1])
    assert isinstance(event, stripe.events.V1BillingMeterErrorReportTriggeredEvent)
    (error_type,) = event.data.reason.error_types
    assert error_type.sample_errors[0].request.identifier == "lost-0"
    second = caller.get(EVENTS, {"limit": "2", "page": ids[2]})
    assert second.text("previous_page_url").endswith(f"page={ids[0]}")
