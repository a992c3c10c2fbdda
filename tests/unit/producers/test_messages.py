import contextlib
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.messages import (
    BillCustomerMonth,
    FileProcessed,
    Job,
    SizeCustomer,
    Tick,
    UnreadableMessage,
    parse_message,
)

SIZE = {"kind": "size_customer", "version": 1, "customerId": "cus_A", "date": "2026-10-31"}
BILL = {
    "kind": "bill_customer_month",
    "version": 1,
    "customerId": "cus_A",
    "billingMonth": "2026-10",
}
FILE = {
    "kind": "file_processed",
    "version": 1,
    "bucket": "siftbeam",
    "key": "service/output/cus_A/r/out.csv",
    "eventTime": "2026-10-31T12:00:00Z",
}
TICK = {"kind": "tick", "version": 1, "job": "daily", "scheduledTime": "2026-10-31T01:00:00Z"}
NOON = datetime(2026, 10, 31, 12, tzinfo=UTC)


def test_the_documented_bodies_are_read() -> None:
    assert parse_message(json.dumps(SIZE)) == SizeCustomer(
        customer_id="cus_A", date=date(2026, 10, 31)
    )
    assert parse_message(json.dumps(BILL)) == BillCustomerMonth(
        customer_id="cus_A", billing_month="2026-10"
    )
    assert parse_message(json.dumps(FILE)) == FileProcessed(
        bucket="siftbeam", key="service/output/cus_A/r/out.csv", event_time=NOON
    )
    assert parse_message(json.dumps(TICK)) == Tick(
        job=Job.DAILY, scheduled_time=datetime(2026, 10, 31, 1, tzinfo=UTC)
    )


def test_a_field_of_tomorrow_is_passed_over() -> None:
    assert parse_message(json.dumps(SIZE | {"note": "new"})) == parse_message(json.dumps(SIZE))


@given(
    st.text(min_size=1, max_size=1024).filter(str.isprintable),
    st.datetimes(datetime(2006, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
)
def test_what_is_written_is_read_to_the_millisecond(key: str, at: datetime) -> None:
    again = parse_message(FileProcessed(bucket="siftbeam", key=key, event_time=at).body())

    cut = at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert again == FileProcessed(bucket="siftbeam", key=key, event_time=cut)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "not JSON"),
        ('{"kind": NaN}', "not JSON"),
        (f'{{"kind": {"1" * 5_000}}}', "not JSON"),
        ('"\\ud800"', "not JSON"),
        ("[]", "not an object"),
        ("null", "not an object"),
        ('"text"', "not an object"),
        ("12", "not an object"),
        ("{}", "unknown kind None"),
        ('{"kind": "size_everybody", "version": 1}', "unknown kind 'size_everybody'"),
        ('{"kind": ["tick"], "version": 1}', "unknown kind"),
    ],
)
def test_a_body_of_another_shape_is_refused(body: str, said: str) -> None:
    with pytest.raises(UnreadableMessage, match=said):
        parse_message(body)


@pytest.mark.parametrize("good", [SIZE, BILL, FILE, TICK], ids=lambda good: good["kind"])
@pytest.mark.parametrize(
    ("version", "said"),
    [
        (2, "newer"),
        (10**30, "newer"),
        (0, "version"),
        (-1, "version"),
        ("1", "version"),
        (None, "version"),
        (True, "version"),
        (1.0, "version"),
        ([1], "version"),
    ],
)
def test_another_version_is_not_guessed_at(
    good: dict[str, object], version: object, said: str
) -> None:
    with pytest.raises(UnreadableMessage, match=said):
        parse_message(json.dumps(good | {"version": version}))


@pytest.mark.parametrize(
    ("good", "field", "value"),
    [
        *[(good, "customerId", bad) for good in (SIZE, BILL) for bad in ("", "a/b", "ü", "c" * 65)],
        *[(good, "customerId", 7) for good in (SIZE, BILL)],
        *[(good, "customerId", None) for good in (SIZE, BILL)],
        *[(good, "customerId", ["cus_A"]) for good in (SIZE, BILL)],
        *[(BILL, "billingMonth", bad) for bad in ("2026-13", "2026-1", "", 202610, "9999-12")],
        *[(SIZE, "date", bad) for bad in ("2026-02-30", "31.10.2026", "", "0")],
        *[(SIZE, "date", bad) for bad in ("1", "86400")],
        *[(FILE, "eventTime", bad) for bad in ("2026-10-31T12:00:00", "soon")],
        (FILE, "eventTime", 1793404800),
        (FILE, "eventTime", None),
        (SIZE, "date", 0),
        (SIZE, "date", None),
        (SIZE, "date", True),
        *[(SIZE, "date", bad) for bad in ("2026-10-31T00:00:00Z", "1969-12-31", "9999-12-31")],
        *[(FILE, "bucket", bad) for bad in ("", 7, None)],
        *[(FILE, "key", bad) for bad in ("", 7, None)],
        *[(TICK, "scheduledTime", bad) for bad in ("0001-01-01T00:00:00Z", "2026-10-31", "")],
        (TICK, "scheduledTime", "9999-12-31T23:59:59-23:00"),
        *[(TICK, "job", bad) for bad in ("weekly", "", None, 1, ["daily"])],
    ],
)
def test_a_wrong_field_is_named(good: dict[str, object], field: str, value: object) -> None:
    with pytest.raises(UnreadableMessage, match=rf"{good['kind']}: .*{field}"):
        parse_message(json.dumps(good | {field: value}))


@pytest.mark.parametrize("good", [SIZE, BILL, FILE, TICK], ids=lambda good: good["kind"])
def test_a_missing_field_is_named(good: dict[str, object]) -> None:
    for field in good.keys() - {"kind"}:
        with pytest.raises(UnreadableMessage, match=field):
            parse_message(json.dumps({name: good[name] for name in good.keys() - {field}}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "version", "customerId", "date", "billingMonth", "job"])
                | st.text(max_size=5),
                inner | st.sampled_from(["tick", "size_customer", 1]),
                max_size=5,
            )
        ),
    )
)
def test_any_json_is_a_message_or_is_refused(value: object) -> None:
    with contextlib.suppress(UnreadableMessage):
        assert parse_message(json.dumps(value)).kind
