"""What AWS and Stripe refuse is told with what to do about it."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from worker.commands.advice import describe
from worker.errors import Permanent
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import StripeUnavailable


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "so it is"}}, "Scan")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError(), "AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="http://nowhere"), "AWS_ENDPOINT_URL"),
        (refused("ResourceNotFoundException"), "SIFTBEAM_TABLE_PREFIX"),
        (refused("AWS.SimpleQueueService.NonExistentQueue"), "SIFTBEAM_QUEUE_PREFIX"),
        (refused("NoSuchBucket"), "doctor"),
        (refused("AccessDeniedException"), "docs/security.md"),
        (refused("ExpiredTokenException"), "AWS_PROFILE"),
        (refused("RequestTimeTooSkewed"), "clock"),
    ],
)
def test_an_error_says_what_to_do(error: ClientError | BotoCoreError, said: str) -> None:
    line = describe(error)

    assert said in line
    assert "\n" not in line
    if isinstance(error, ClientError):
        assert line.startswith("AWS Scan: ")
        assert "so it is" in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyUnavailable("no key", NoCredentialsError()), "AWS_PROFILE"),
        (KeyUnavailable("no key", refused("ExpiredTokenException")), "AWS_PROFILE"),
        (KeyUnavailable("no key", refused("AccessDeniedException")), "docs/security.md"),
        (
            KeyUnavailable("no key", refused("ResourceNotFoundException")),
            "SIFTBEAM_STRIPE_SECRET_ID",
        ),
        (KeyUnavailable("no key", refused("Odd")), "doctor"),
        (KeyUnavailable("no key"), "doctor"),
        (StripeUnavailable("no key", refused=True), "rotate-key.md"),
        (StripeUnavailable("no key"), "status.stripe.com"),
    ],
)
def test_a_key_that_is_missing_or_refused_says_what_to_do(
    error: KeyUnavailable | StripeUnavailable, said: str
) -> None:
    line = describe(error)

    assert line.startswith("no key; ")
    assert said in line


def test_what_nobody_can_advise_on_is_told_as_it_is() -> None:
    assert describe(refused("Odd")) == "AWS Scan: Odd: so it is"
    assert describe(ReadTimeoutError(endpoint_url="x")).startswith("AWS: Read timeout")
    assert describe(Permanent("it never will")) == "it never will"
