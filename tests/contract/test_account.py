"""The guard in front of the contract."""

import pytest

from tests.contract.account import LiveKeyError, sandbox_key


@pytest.mark.parametrize("key", ["sk_live_1234", "rk_live_1234", "pk_test_1234", "1234"])
def test_a_key_that_is_no_test_key_is_refused_unseen(key: str) -> None:
    with pytest.raises(LiveKeyError) as error:
        sandbox_key({"STRIPE_TEST_KEY": key})
    assert "1234" not in str(error.value)


def test_without_a_key_the_simulator_is_meant() -> None:
    assert sandbox_key({}) is None
    assert sandbox_key({"STRIPE_TEST_KEY": ""}) is None
    assert sandbox_key({"STRIPE_TEST_KEY": "rk_test_1234"}) == "rk_test_1234"
