import base64

import pytest
import stripe
from pydantic import SecretStr, ValidationError

from infra.stripe_simulator import ApiKey, Request, Served, StripeSimulator
from infra.stripe_simulator.keys import masked
from tests.unit.stripe_simulator.caller import EVENTS, Caller


def test_a_wrong_key_is_refused_and_shown_masked(simulator: StripeSimulator) -> None:
    answer = Caller(simulator, "sk_test_wrongkey1234").get("/v1/account")

    assert answer.status == 401
    assert answer.at("error", "type") == "invalid_request_error"
    assert answer.at("error", "message") == "Invalid API Key provided: sk_test_********1234"


def test_no_key_is_refused(simulator: StripeSimulator) -> None:
    assert Caller(simulator, None).get("/v1/account").status == 401


def test_a_key_may_come_as_the_basic_user_name(simulator: StripeSimulator) -> None:
    credentials = base64.b64encode(b"sk_test_simulator:").decode()
    request = Request("GET", "/v1/account", headers={"authorization": f"Basic {credentials}"})

    assert simulator.handle(request).status == 200


def test_a_short_key_is_masked_whole() -> None:
    assert masked("sk_test_ab") == "sk_test_****"


def test_a_rotation_refuses_the_old_key_and_takes_the_new(simulator: StripeSimulator) -> None:
    simulator.change_settings(api_keys=[{"secret": "sk_test_new", "account": "acct_other"}])

    assert Caller(simulator).get("/v1/account").status == 401
    answer = Caller(simulator, "sk_test_new").get("/v1/account")
    assert answer.at("id") == "acct_other"


def test_livemode_follows_the_prefix(simulator: StripeSimulator, caller: Caller) -> None:
    assert caller.send("a").at("livemode") is False
    simulator.change_settings(api_keys=(ApiKey(secret=SecretStr("sk_live_x")),))
    assert Caller(simulator, "sk_live_x").send("b").at("livemode") is True


def test_a_restricted_key_lacks_what_it_was_not_given(
    simulator: StripeSimulator, caller: Caller
) -> None:
    permissions = frozenset({"billing_meter_event_write"})
    restricted = ApiKey(secret=SecretStr("rk_test_restricted"), permissions=permissions)
    simulator.change_settings(api_keys=(restricted,))
    caller.key = "rk_test_restricted"

    assert caller.send().status == 200
    refused = caller.get("/v1/customers")
    assert refused.status == 403
    assert "rak_customer_read" in refused.text("error", "message")
    assert "rk_test_restricted" not in refused.text("error", "message")


def test_a_key_needs_a_known_prefix() -> None:
    with pytest.raises(ValidationError, match="a key begins with") as error:
        ApiKey(secret=SecretStr("pk_test_public"))
    assert "public" not in str(error.value)


def test_the_library_sees_an_authentication_error(served: Served) -> None:
    wrong = stripe.StripeClient(
        "sk_test_wrongkey1234", base_addresses={"api": served.url}, max_network_retries=0
    )
    with pytest.raises(stripe.AuthenticationError, match="1234"):
        wrong.v1.billing.meters.list()


def test_an_unknown_url_is_404(caller: Caller) -> None:
    answer = caller.get("/v1/unheard_of")

    assert answer.status == 404
    assert answer.at("error", "type") == "invalid_request_error"
    assert "GET: /v1/unheard_of" in answer.text("error", "message")


def test_responses_carry_stripe_s_headers(simulator: StripeSimulator) -> None:
    headers = {"authorization": "Bearer sk_test_simulator", "stripe-version": "2026-01-01.x"}
    first = simulator.handle(Request("GET", "/v1/account", headers=headers))
    second = simulator.handle(Request("GET", EVENTS, headers=headers))

    assert first.headers["Stripe-Version"] == "2026-01-01.x"
    assert first.headers["Request-Id"] != second.headers["Request-Id"]
