"""What the simulator claims of Stripe, in cases a sandbox can confirm."""

import pytest
import stripe

from tests.contract.account import Account

pytestmark = pytest.mark.contract

DAY = 86400


def send(
    account: Account,
    meter: stripe.billing.Meter,
    customer: str,
    *,
    value: str = "5",
    identifier: str | None = None,
    timestamp: int | None = None,
    idempotency_key: str | None = None,
) -> stripe.billing.MeterEvent:
    return account.client.v1.billing.meter_events.create(
        {
            "event_name": meter.event_name,
            "identifier": identifier or account.unique("event"),
            "timestamp": account.now() if timestamp is None else timestamp,
            "payload": {"stripe_customer_id": customer, "value": value},
        },
        {"idempotency_key": idempotency_key or account.unique("key")},
    )


def counted(account: Account, meter: stripe.billing.Meter, customer: str) -> float:
    """The day's usage around now, as the summaries have it."""
    start = account.now() // 60 * 60 - DAY
    summaries = account.client.v1.billing.meters.event_summaries.list(
        meter.id, {"customer": customer, "start_time": start, "end_time": start + 2 * DAY}
    )
    return sum(summary.aggregated_value for summary in summaries.data)


def headers_of(created: stripe.StripeObject) -> dict[str, str]:
    response = created.last_response
    assert response is not None
    return {name.lower(): value for name, value in response.headers.items()}


class TestMeterEvents:
    def test_an_event_is_echoed_and_counted(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        identifier, stamp = account.unique("event"), account.now() - 60
        event = send(account, meter, customer, value="25", identifier=identifier, timestamp=stamp)

        assert event.object == "billing.meter_event"
        assert (event.identifier, event.event_name) == (identifier, meter.event_name)
        assert event.timestamp == stamp
        assert event.payload["value"] == "25"
        assert event.livemode is False
        assert account.eventually(lambda: counted(account, meter, customer) == 25)

    def test_a_duplicate_is_refused_without_a_code(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        identifier = account.unique("event")
        send(account, meter, customer, identifier=identifier)
        with pytest.raises(stripe.InvalidRequestError) as refused:
            send(account, meter, customer, identifier=identifier)

        assert refused.value.http_status == 400
        assert refused.value.code is None
        assert "already exists with identifier" in str(refused.value)
        assert identifier in str(refused.value)
        sent = {name.lower(): value for name, value in (refused.value.headers or {}).items()}
        assert sent["stripe-should-retry"] == "false"

    def test_an_identifier_is_made_up(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        event = account.client.v1.billing.meter_events.create(
            {
                "event_name": meter.event_name,
                "payload": {"stripe_customer_id": customer, "value": "1"},
            }
        )
        assert event.identifier

    def test_an_identifier_has_at_most_100_characters(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            send(account, meter, customer, identifier="x" * 101)

    @pytest.mark.parametrize("offset", [-35 * DAY + 120, 240])
    def test_a_timestamp_inside_the_window_is_taken(
        self, account: Account, meter: stripe.billing.Meter, customer: str, offset: int
    ) -> None:
        stamp = account.now() + offset
        assert send(account, meter, customer, timestamp=stamp).timestamp == stamp

    @pytest.mark.parametrize(
        ("offset", "code"),
        [(-35 * DAY - 120, "timestamp_too_far_in_past"), (420, "timestamp_in_future")],
    )
    def test_a_timestamp_outside_the_window_is_refused(
        self, account: Account, meter: stripe.billing.Meter, customer: str, offset: int, code: str
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            send(account, meter, customer, timestamp=account.now() + offset)
        assert refused.value.code == code

    def test_15_digits_are_taken_and_16_refused(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        assert send(account, meter, customer, value="9" * 15).payload["value"] == "9" * 15
        with pytest.raises(stripe.InvalidRequestError) as refused:
            send(account, meter, customer, value="9" * 16)
        assert refused.value.http_status == 400

    @pytest.mark.parametrize("value", ["1.5", "five"])
    def test_a_value_is_a_whole_number(
        self, account: Account, meter: stripe.billing.Meter, customer: str, value: str
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            send(account, meter, customer, value=value)

    def test_an_unknown_event_name_is_refused_at_once(
        self, account: Account, customer: str
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            account.client.v1.billing.meter_events.create(
                {
                    "event_name": account.unique("nothing"),
                    "payload": {"stripe_customer_id": customer, "value": "1"},
                }
            )

    def test_a_cancelled_event_no_longer_counts(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        identifier = account.unique("event")
        send(account, meter, customer, value="3")
        send(account, meter, customer, value="4", identifier=identifier)
        assert account.eventually(lambda: counted(account, meter, customer) == 7)

        adjustment = account.client.v1.billing.meter_event_adjustments.create(
            {
                "event_name": meter.event_name,
                "type": "cancel",
                "cancel": {"identifier": identifier},
            }
        )
        assert adjustment.status in {"pending", "complete"}
        assert account.eventually(lambda: counted(account, meter, customer) == 3)


class TestIdempotency:
    def test_a_repeat_is_replayed(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        key, identifier = account.unique("key"), account.unique("event")
        stamp = account.now()

        def once() -> stripe.billing.MeterEvent:
            return send(
                account,
                meter,
                customer,
                identifier=identifier,
                timestamp=stamp,
                idempotency_key=key,
            )

        first, again = once(), once()
        assert again.identifier == first.identifier
        assert "idempotent-replayed" not in headers_of(first)
        assert headers_of(again)["idempotent-replayed"] == "true"

    def test_other_parameters_under_the_same_key_are_an_error(self, account: Account) -> None:
        key = account.unique("key")
        made = account.client.v1.customers.create({"name": "contract"}, {"idempotency_key": key})
        with pytest.raises(stripe.IdempotencyError) as refused:
            account.client.v1.customers.create({"name": "other"}, {"idempotency_key": key})
        account.client.v1.customers.delete(made.id)
        assert refused.value.http_status == 400


class TestSummaries:
    @pytest.mark.parametrize(("offset", "window"), [(1, None), (60, "hour"), (3600, "day")])
    def test_times_align_with_the_window(
        self,
        account: Account,
        meter: stripe.billing.Meter,
        customer: str,
        offset: int,
        window: str | None,
    ) -> None:
        midnight = account.now() // DAY * DAY
        params: stripe.params.billing.MeterListEventSummariesParams = {
            "customer": customer,
            "start_time": midnight - DAY + offset,
            "end_time": midnight,
        }
        if window is not None:
            params["value_grouping_window"] = window
        with pytest.raises(stripe.InvalidRequestError):
            account.client.v1.billing.meters.event_summaries.list(meter.id, params)

    def test_days_are_told_apart(
        self, account: Account, meter: stripe.billing.Meter, customer: str
    ) -> None:
        midnight = account.now() // DAY * DAY
        for day in (1, 2):
            send(account, meter, customer, value=str(day), timestamp=midnight - day * DAY + 60)

        def days() -> dict[int, float]:
            listed = account.client.v1.billing.meters.event_summaries.list(
                meter.id,
                {
                    "customer": customer,
                    "start_time": midnight - 2 * DAY,
                    "end_time": midnight,
                    "value_grouping_window": "day",
                },
            )
            return {
                (midnight - summary.start_time) // DAY: summary.aggregated_value
                for summary in listed.data
                if summary.aggregated_value
            }

        assert account.eventually(lambda: days() == {1: 1, 2: 2})


class TestObjects:
    def test_an_event_name_has_one_active_meter(
        self, account: Account, meter: stripe.billing.Meter
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            account.client.v1.billing.meters.create(
                {
                    "display_name": "second",
                    "event_name": meter.event_name,
                    "default_aggregation": {"formula": "sum"},
                }
            )

    def test_lists_are_paged_newest_first(self, account: Account) -> None:
        email = f"{account.unique('contract')}@example.com"
        made = [account.client.v1.customers.create({"email": email}).id for _ in range(3)]
        customers = account.client.v1.customers
        assert account.eventually(lambda: len(customers.list({"email": email}).data) == 3)

        first = customers.list({"email": email, "limit": 2})
        rest = customers.list({"email": email, "limit": 2, "starting_after": first.data[-1].id})
        back = customers.list({"email": email, "limit": 2, "ending_before": rest.data[0].id})
        for identity in made:
            customers.delete(identity)
        ids = [customer.id for page in (first, rest) for customer in page.data]
        assert sorted(ids) == sorted(made)
        assert (first.has_more, rest.has_more) == (True, False)
        assert [customer.id for customer in back.data] == ids[:2]

    def test_a_deleted_customer_says_so(self, account: Account) -> None:
        made = account.client.v1.customers.create({"name": "contract"})
        account.client.v1.customers.delete(made.id)
        assert account.client.v1.customers.retrieve(made.id).deleted is True

    def test_what_is_not_there_is_404(self, account: Account) -> None:
        with pytest.raises(stripe.InvalidRequestError) as missing:
            account.client.v1.customers.retrieve("cus_doesnotexist")
        assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
