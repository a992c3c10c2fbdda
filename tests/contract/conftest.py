import os
from collections.abc import Iterator

import pytest
import stripe

from tests.contract.account import Account, LiveKeyError, open_account, sandbox_key


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    try:
        key = sandbox_key(os.environ)
    except LiveKeyError as error:
        pytest.exit(str(error), returncode=2)
    with open_account(key) as opened:
        yield opened


@pytest.fixture(scope="session")
def meter(account: Account) -> Iterator[stripe.billing.Meter]:
    """An active meter of this run, deactivated afterwards."""
    name = account.unique("contract")
    made = account.client.v1.billing.meters.create(
        {
            "display_name": name,
            "event_name": name,
            "default_aggregation": {"formula": "sum"},
        }
    )
    yield made
    account.client.v1.billing.meters.deactivate(made.id)


@pytest.fixture
def customer(account: Account) -> Iterator[str]:
    made = account.client.v1.customers.create({"name": account.unique("contract")})
    yield made.id
    account.client.v1.customers.delete(made.id)
