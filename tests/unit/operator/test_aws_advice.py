"""What AWS refuses is told with what to do about it."""

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


def test_what_nobody_can_advise_on_is_told_as_it_is() -> None:
    assert describe(refused("Odd")) == "AWS Scan: Odd: so it is"
    assert describe(ReadTimeoutError(endpoint_url="x")).startswith("AWS: Read timeout")
