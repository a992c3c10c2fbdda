from datetime import timedelta

import pytest
import stripe

from infra.stripe_simulator import Planted, SettableClock, StripeSimulator
from tests.unit.stripe_simulator.caller import METERS, Answer, Caller
from tests.unit.stripe_simulator.conftest import START

NOW = int(START.timestamp())
HOUR = 3600
DAY = 24 * HOUR


def summaries(caller: Caller, start: int, end: int, **more: str) -> Answer:
    meter = caller.get(METERS).text("data", 1, "id")
    params = {"customer": "cus_a", "start_time": str(start), "end_time": str(end), **more}
    return caller.get(f"{METERS}/{meter}/event_summaries", params)


def test_a_window_is_half_open_and_summed(caller: Caller) -> None:
    for identifier, offset in [("a", -120), ("b", -61), ("c", -60), ("d", 0)]:
        caller.send(identifier, value="5", timestamp=NOW + offset)
    answer = summaries(caller, NOW - 120, NOW - 60)

    assert answer.at("data", 0, "aggregated_value") == 10.0
    assert isinstance(answer.at("data", 0, "aggregated_value"), float)
    assert answer.at("data", 0, "object") == "billing.meter_event_summary"
    assert answer.at("data", 0, "start_time") == NOW - 120
    assert answer.at("data", 0, "end_time") == NOW - 60


def test_only_this_customer_s_and_this_meter_s_events_count(caller: Caller) -> None:
    caller.send("a", value="1")
    caller.send("b", value="10", customer="cus_b")
    caller.send("c", value="100", event_name="file_processed")

    assert summaries(caller, NOW, NOW + 60).column("aggregated_value") == [1.0]


def test_cancelled_and_refused_events_do_not_count(
    caller: Caller, simulator: StripeSimulator
) -> None:
    for identifier in ("a", "b", "c"):
        caller.send(identifier, value="1")
    caller.cancel("a")
    simulator.refuse("b", "archived_meter")

    assert summaries(caller, NOW, NOW + 60).column("aggregated_value") == [1.0]


@pytest.mark.parametrize(
    ("start", "end", "window", "param"),
    [
        (NOW + 1, NOW + 60, None, "start_time"),
        (NOW, NOW + 61, None, "end_time"),
        (NOW + 60, NOW + HOUR, "hour", "start_time"),
        (NOW, NOW + HOUR, "day", "end_time"),
        (NOW, NOW, None, "end_time"),
        (NOW, NOW + 60, "week", "value_grouping_window"),
    ],
)
def test_times_align_with_the_window(
    caller: Caller, start: int, end: int, window: str | None, param: str
) -> None:
    more = {} if window is None else {"value_grouping_window": window}
    answer = summaries(caller, start, end, **more)

    assert (answer.status, answer.at("error", "param")) == (400, param)


def test_grouped_windows_are_paged(caller: Caller) -> None:
    for hour in range(5):
        caller.send(f"e{hour}", value=str(hour + 1), timestamp=NOW - (5 - hour) * HOUR)
    grouped = {"value_grouping_window": "hour", "limit": "2"}
    first = summaries(caller, NOW - 5 * HOUR, NOW, **grouped)
    cursor = first.text("data", 1, "id")
    second = summaries(caller, NOW - 5 * HOUR, NOW, **grouped, starting_after=cursor)

    assert first.column("aggregated_value") == [5.0, 4.0]
    assert first.at("has_more") is True
    assert second.column("aggregated_value") == [3.0, 2.0]


def test_events_show_after_the_delay(
    caller: Caller, simulator: StripeSimulator, clock: SettableClock
) -> None:
    simulator.change_settings(summary_delay_seconds=600)
    caller.send(value="5")

    clock.advance(timedelta(seconds=599))
    assert summaries(caller, NOW, NOW + 60).column("aggregated_value") == [0.0]
    clock.advance(timedelta(seconds=1))
    assert summaries(caller, NOW, NOW + 60).column("aggregated_value") == [5.0]


@pytest.mark.parametrize(("formula", "expected"), [("count", 3.0), ("last", 7.0)])
def test_other_formulas(caller: Caller, formula: str, expected: float) -> None:
    made = caller.post(
        METERS,
        {
            "display_name": formula,
            "event_name": formula,
            "default_aggregation[formula]": formula,
        },
    )
    for identifier, value, offset in [("a", "9", -60), ("b", "7", 0), ("c", "8", -30)]:
        caller.send(identifier, value=value, event_name=formula, timestamp=NOW + offset)
    window = {"customer": "cus_a", "start_time": str(NOW - 60), "end_time": str(NOW + 60)}
    answer = caller.get(f"{METERS}/{made.text('id')}/event_summaries", window)

    assert answer.column("aggregated_value") == [expected]


def test_an_unknown_customer_or_meter_is_refused(caller: Caller) -> None:
    assert summaries(caller, NOW, NOW + 60, customer="cus_none").at("error", "param") == "customer"
    window = {"customer": "cus_a", "start_time": str(NOW), "end_time": str(NOW + 60)}
    assert caller.get(f"{METERS}/mtr_none/event_summaries", window).status == 404


def test_the_library_pages_through_days(client: stripe.StripeClient, planted: Planted) -> None:
    for day in range(1, 4):
        client.v1.billing.meter_events.create(
            {
                "event_name": "file_processed",
                "timestamp": NOW - day * DAY,
                "payload": {"stripe_customer_id": "cus_a", "value": str(day)},
            }
        )
    pages = client.v1.billing.meters.event_summaries.list(
        planted.meters["file_processed"],
        {
            "customer": "cus_a",
            "start_time": NOW - 3 * DAY,
            "end_time": NOW,
            "value_grouping_window": "day",
            "limit": 1,
        },
    )
    assert [page.aggregated_value for page in pages.auto_paging_iter()] == [1, 2, 3]
