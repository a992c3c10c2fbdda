"""Meters, products, prices and customers, and how their lists are paged."""

from decimal import Decimal

import pytest
import stripe

from infra.stripe_simulator import Planted, Seed, SeedCustomer, StripeSimulator
from tests.unit.stripe_simulator.caller import METERS, Caller

PRICE = {
    "currency": "usd",
    "product_data[name]": "Storage",
    "unit_amount_decimal": "0.001",
    "recurring[interval]": "month",
    "recurring[usage_type]": "metered",
}


def meter(event_name: str) -> dict[str, str]:
    return {
        "display_name": event_name,
        "event_name": event_name,
        "default_aggregation[formula]": "sum",
    }


class TestMeters:
    def test_a_meter_is_made_as_stripe_makes_it(self, caller: Caller) -> None:
        made = caller.post(METERS, meter("new"))

        assert made.at("status") == "active"
        assert made.at("customer_mapping") == {
            "type": "by_id",
            "event_payload_key": "stripe_customer_id",
        }
        assert made.at("value_settings") == {"event_payload_key": "value"}
        assert caller.get(f"{METERS}/{made.text('id')}").at() == made.at()

    def test_an_event_name_has_one_active_meter(self, caller: Caller) -> None:
        first = caller.post(METERS, meter("new")).text("id")
        assert caller.post(METERS, meter("new")).at("error", "param") == "event_name"

        assert caller.post(f"{METERS}/{first}/deactivate").at("status") == "inactive"
        assert caller.post(METERS, meter("new")).status == 200
        assert caller.post(f"{METERS}/{first}/reactivate").status == 400

    def test_states_do_not_repeat(self, caller: Caller) -> None:
        made = caller.post(METERS, meter("new")).text("id")
        assert caller.post(f"{METERS}/{made}/reactivate").status == 400
        caller.post(f"{METERS}/{made}/deactivate")
        assert caller.post(f"{METERS}/{made}/deactivate").status == 400

    def test_they_are_listed_by_status(self, caller: Caller, planted: Planted) -> None:
        storage = planted.meters["storage-usage"]
        caller.post(f"{METERS}/{storage}/deactivate")

        assert caller.get(METERS, {"status": "inactive"}).column("id") == [storage]
        active = caller.get(METERS, {"status": "active"}).column("event_name")
        assert active == ["file_processed"]

    def test_the_display_name_can_change(self, caller: Caller, planted: Planted) -> None:
        path = f"{METERS}/{planted.meters['storage-usage']}"
        assert caller.post(path, {"display_name": "Bytes"}).at("display_name") == "Bytes"
        assert caller.post(path, {"event_name": "x"}).at("error", "code") == "parameter_unknown"

    def test_an_unknown_one_is_404(self, caller: Caller) -> None:
        answer = caller.get(f"{METERS}/mtr_none")
        assert (answer.status, answer.at("error", "code")) == (404, "resource_missing")


class TestPrices:
    def test_a_metered_price(self, caller: Caller, planted: Planted) -> None:
        meter_id = planted.meters["file_processed"]
        made = caller.post("/v1/prices", {**PRICE, "recurring[meter]": meter_id})

        assert made.at("unit_amount") is None
        assert made.at("unit_amount_decimal") == "0.001"
        assert made.at("recurring", "meter") == meter_id
        product = caller.get(f"/v1/products/{made.text('product')}")
        assert product.at("name") == "Storage"

    def test_a_transformed_one(self, caller: Caller, planted: Planted) -> None:
        made = caller.post(
            "/v1/prices",
            {
                **PRICE,
                "recurring[meter]": planted.meters["storage-usage"],
                "transform_quantity[divide_by]": "1073741824",
                "transform_quantity[round]": "up",
            },
        )
        assert made.at("transform_quantity") == {"divide_by": 1073741824, "round": "up"}

    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            ({"recurring[meter]": "mtr_none"}, "recurring[meter]"),
            ({"recurring[usage_type]": "licensed"}, "recurring[usage_type]"),
            ({"recurring[interval]": "year"}, "recurring[interval]"),
            ({"unit_amount_decimal": "0.0000000000001"}, "unit_amount_decimal"),
            ({"unit_amount_decimal": "-1"}, "unit_amount_decimal"),
            ({"unit_amount_decimal": "NaN"}, "unit_amount_decimal"),
            ({"unit_amount": "1"}, "unit_amount"),
            ({"transform_quantity[divide_by]": "10"}, "transform_quantity[round]"),
            ({"currency": ""}, "currency"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, caller: Caller, planted: Planted, changes: dict[str, str], param: str
    ) -> None:
        params = {**PRICE, "recurring[meter]": planted.meters["storage-usage"], **changes}
        answer = caller.post("/v1/prices", params)
        assert (answer.status, answer.at("error", "param")) == (400, param)

    def test_an_inactive_meter_takes_no_price(self, caller: Caller, planted: Planted) -> None:
        meter_id = planted.meters["storage-usage"]
        caller.post(f"{METERS}/{meter_id}/deactivate")
        assert caller.post("/v1/prices", {**PRICE, "recurring[meter]": meter_id}).status == 400

    def test_the_library_finds_one_by_lookup_key(
        self, client: stripe.StripeClient, planted: Planted
    ) -> None:
        product = client.v1.products.create({"name": "File Processing", "id": "prod_files"})
        made = client.v1.prices.create(
            {
                "currency": "jpy",
                "product": product.id,
                "unit_amount_decimal": Decimal("0.15"),
                "lookup_key": "files",
                "recurring": {
                    "interval": "month",
                    "usage_type": "metered",
                    "meter": planted.meters["file_processed"],
                },
            }
        )
        found = client.v1.prices.list({"lookup_keys": ["files"]}).data
        assert [price.id for price in found] == [made.id]
        client.v1.prices.update(made.id, {"active": False})
        assert client.v1.prices.list({"product": product.id, "active": True}).data == []
        with pytest.raises(stripe.InvalidRequestError, match="already exists"):
            client.v1.products.create({"name": "Again", "id": "prod_files"})


class TestCustomers:
    def test_a_deleted_one_still_answers(self, caller: Caller) -> None:
        deleted = {"id": "cus_b", "object": "customer", "deleted": True}

        assert caller.delete("/v1/customers/cus_b").at() == deleted
        assert caller.get("/v1/customers/cus_b").at() == deleted
        assert caller.delete("/v1/customers/cus_b").status == 404
        assert caller.get("/v1/customers").column("id") == ["cus_a"]

    def test_the_library_makes_and_finds_one(self, client: stripe.StripeClient) -> None:
        made = client.v1.customers.create({"email": "a@example.com", "metadata": {"k": "v"}})
        assert client.v1.customers.retrieve(made.id).email == "a@example.com"
        found = client.v1.customers.list({"email": "a@example.com"}).data
        assert [customer.id for customer in found] == [made.id]


class TestPaging:
    @pytest.fixture
    def crowd(self, simulator: StripeSimulator, planted: Planted) -> list[str]:
        """All customers, newest first."""
        assert planted.subscriptions
        ids = [f"cus_{number}" for number in range(25)]
        simulator.seed(Seed(customers=tuple(SeedCustomer(id=identity) for identity in ids)))
        return [*reversed(ids), "cus_b", "cus_a"]

    def test_newest_first_ten_at_a_time(self, caller: Caller, crowd: list[str]) -> None:
        page = caller.get("/v1/customers")
        assert page.column("id") == crowd[:10]
        assert (page.at("object"), page.at("url")) == ("list", "/v1/customers")
        assert page.at("has_more") is True

    def test_forwards_and_backwards(self, caller: Caller, crowd: list[str]) -> None:
        forwards = {"limit": "5", "starting_after": crowd[4]}
        assert caller.get("/v1/customers", forwards).column("id") == crowd[5:10]
        backwards = caller.get("/v1/customers", {"limit": "3", "ending_before": crowd[5]})
        assert backwards.column("id") == crowd[2:5]
        assert backwards.at("has_more") is True
        first = caller.get("/v1/customers", {"limit": "10", "ending_before": crowd[5]})
        assert (first.column("id"), first.at("has_more")) == (crowd[:5], False)

    def test_the_last_page_says_so(self, caller: Caller, crowd: list[str]) -> None:
        page = caller.get("/v1/customers", {"limit": "27"})
        assert (page.column("id"), page.at("has_more")) == (crowd, False)

    @pytest.mark.parametrize(
        ("params", "param"),
        [
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"starting_after": "cus_none"}, "starting_after"),
            ({"starting_after": "cus_a", "ending_before": "cus_b"}, "ending_before"),
        ],
    )
    def test_wrong_cursors_are_refused(
        self, caller: Caller, params: dict[str, str], param: str
    ) -> None:
        answer = caller.get("/v1/customers", params)
        assert (answer.status, answer.at("error", "param")) == (400, param)

    def test_the_library_pages_to_the_end(
        self, client: stripe.StripeClient, crowd: list[str]
    ) -> None:
        pages = client.v1.customers.list({"limit": 4})
        assert [customer.id for customer in pages.auto_paging_iter()] == crowd
