"""The listing over HTTP: every byte, or an error that says what is wrong."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import NoCredentialsError

from tests.unit.listing.bucket import BucketServer, ListedBucket, Reply, listing_xml
from tests.unit.listing.conftest import BUCKET, SESSION, Lister
from worker.listing.address import BucketAddress
from worker.listing.errors import (
    PageRefused,
    RepeatedToken,
    SlowedDown,
    Unreachable,
    WrongPage,
)
from worker.listing.query import PageQuery
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Lists = Callable[[BucketServer], AbstractContextManager[Lister]]

PREFIX = "service/input/cus_A/"
TEN = {f"{PREFIX}r/{number}": number for number in range(10)}
SUM = Usage(45, 10)


def ten(fault: Callable[[int, Mapping[str, str]], Reply | None]) -> BucketServer:
    """Ten objects, three a page: four pages, numbered from 0."""
    return BucketServer(ListedBucket(TEN, page=3), fault)


def error(status: int, code: str) -> Reply:
    return Reply(
        f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>No &amp; no</Message>"
        "</Error>".encode(),
        status,
    )


def once(number: int, reply: Reply) -> Callable[[int, Mapping[str, str]], Reply | None]:
    return lambda at, _: reply if at == number else None


def from_page(number: int, reply: Reply) -> Callable[[int, Mapping[str, str]], Reply | None]:
    return lambda at, _: reply if at >= number else None


def test_page_after_page_to_the_end(lists: Lists) -> None:
    server = BucketServer(ListedBucket({**TEN, "service/input/cus_AB/r/x": 99}, page=3))
    with lists(server) as made:
        assert made.listing.usage(PREFIX) == SUM

    assert [asked["prefix"] for asked in server.asked] == [PREFIX] * 4
    assert all(asked["encoding-type"] == "url" for asked in server.asked)


def test_nothing_is_nothing(lists: Lists) -> None:
    with lists(BucketServer(ListedBucket({}))) as made:
        assert made.listing.usage(PREFIX) == Usage(0, 0)
        assert made.listing.last_written(PREFIX) is None


def test_only_what_counts_is_counted(lists: Lists) -> None:
    with lists(ten(lambda *_: None)) as made:
        assert made.listing.usage(PREFIX, counts=lambda key: key.endswith("9")) == Usage(9, 1)


def test_the_latest_of_all_pages(lists: Lists) -> None:
    late = ListedBucket(TEN, page=3).answer({"prefix": PREFIX}).replace(b"2026-10", b"2026-11", 1)
    with lists(ten(once(0, Reply(late)))) as made:
        assert made.listing.last_written(PREFIX) == datetime(2026, 11, 12, 17, 50, 30, tzinfo=UTC)


@pytest.mark.parametrize("page", range(4))
@pytest.mark.parametrize(
    "reply",
    [
        error(200, "InternalError"),
        error(500, "InternalError"),
        error(503, "SlowDown"),
        error(200, "SlowDown"),
        error(429, "TooManyRequests"),
        Reply(b"", 502),
        Reply(b"<ListBucketResult>", claimed=1_000),
        Reply(listing_xml([], prefix=PREFIX)[:-4]),
        Reply(listing_xml([], prefix=PREFIX, KeyCount="1")),
        Reply(listing_xml([(f"{PREFIX}x", 1)], prefix="another/")),
    ],
)
def test_what_passes_is_waited_out(lists: Lists, reply: Reply, page: int) -> None:
    server = ten(once(page, reply))
    with lists(server) as made:
        assert made.listing.usage(PREFIX) == SUM

    assert len(server.asked) == 5


@pytest.mark.parametrize("page", range(4))
@pytest.mark.parametrize(
    ("reply", "raised", "said"),
    [
        (error(403, "AccessDenied"), PageRefused, "s3:ListBucket"),
        (error(404, "NoSuchBucket"), PageRefused, "NoSuchBucket .HTTP 404.: No &amp; no"),
        (error(301, "PermanentRedirect"), PageRefused, "AWS_REGION"),
        (error(400, "ExpiredToken"), PageRefused, "ExpiredToken"),
        (Reply(b"", 403), PageRefused, "an error .HTTP 403."),
        (error(200, "AccessDenied"), PageRefused, "AccessDenied"),
        (error(503, "SlowDown"), SlowedDown, "SlowDown"),
        (Reply(b"", 500), Unreachable, "HTTP 500"),
        (Reply(b"<ListBucketResult>", claimed=1_000), Unreachable, "IncompleteRead"),
        (Reply(b"<html></html>"), WrongPage, "no listing"),
        (Reply(listing_xml([], prefix=PREFIX, KeyCount="1")), WrongPage, "KeyCount"),
        (
            Reply(listing_xml([], prefix=PREFIX, IsTruncated="true")),
            WrongPage,
            "no NextContinuationToken",
        ),
    ],
)
def test_what_stays_wrong_raises(
    lists: Lists, reply: Reply, raised: type[Exception], said: str, page: int
) -> None:
    with lists(ten(from_page(page, reply))) as made, pytest.raises(raised, match=said):
        made.listing.usage(PREFIX)


def test_a_refusal_is_not_asked_again(lists: Lists) -> None:
    server = ten(from_page(1, error(403, "AccessDenied")))
    with lists(server) as made, pytest.raises(PageRefused):
        made.listing.usage(PREFIX)

    assert len(server.asked) == 2
    assert made.clock.slept == []


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_a_circle_of_tokens_ends(lists: Lists, length: int) -> None:
    def circle(number: int, _: Mapping[str, str]) -> Reply:
        entries = [(f"{PREFIX}{number}", 1)]
        return Reply(listing_xml(entries, prefix=PREFIX, token=f"token-{number % length}"))

    server = ten(circle)
    with lists(server) as made, pytest.raises(RepeatedToken):
        made.listing.usage(PREFIX)

    assert len(server.asked) <= 3 * length + 1


def test_s3_is_listened_to(lists: Lists) -> None:
    server = ten(lambda number, _: error(503, "SlowDown") if number < 12 else None)
    with lists(server) as made:
        assert made.listing.usage(PREFIX) == SUM
        assert made.pressure.limit < 8

    assert made.clock.slept[:11] == sorted(made.clock.slept[:11])
    assert max(made.clock.slept) <= 20


def test_requests_are_signed_in_their_headers(lists: Lists) -> None:
    server = ten(lambda *_: None)
    with lists(server) as made:
        made.listing.usage(PREFIX)

    for headers in server.headers:
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
        assert "/ap-northeast-1/s3/aws4_request" in headers["authorization"]
        assert headers["x-amz-security-token"] == "a-session-token"
    assert all(set(asked) <= set(PARAMETERS) for asked in server.asked)


PARAMETERS = ("list-type", "encoding-type", "prefix", "continuation-token", "start-after")


def test_a_signature_is_boto3s_own() -> None:
    """Held against botocore's presigned URL: the same endpoint, and the same string to sign."""

    config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
    with closing(SESSION.client("s3", config=config)) as s3:
        address = BucketAddress(s3, SESSION.get_credentials(), BUCKET)

    assert address.origin == "https://a-bucket.s3.ap-northeast-1.amazonaws.com"
    target = address.target(PageQuery("a b/é&", token="+/= &"))
    assert target == (
        "/?list-type=2&encoding-type=url&prefix=a%20b%2F%C3%A9%26&continuation-token=%2B%2F%3D%20%26"
    )


def test_a_roles_credentials_renew_themselves(lists: Lists) -> None:
    """They expire between two pages; the next page is signed with new ones."""
    hour = timedelta(hours=1)
    given = iter(f"AKIA{number}" for number in range(100))

    def renewed() -> dict[str, str]:
        return {
            "access_key": next(given),
            "secret_key": "a-secret",
            "token": "a-session-token",
            # So near its end that botocore renews it each time.
            "expiry_time": (datetime.now(UTC) + timedelta(seconds=1)).isoformat(),
        }

    credentials = RefreshableCredentials(
        "AKIA", "a-secret", "a-session-token", datetime.now(UTC) - hour, renewed, "a-role"
    )
    server = ten(lambda *_: None)

    with lists(server) as made, closing(SESSION.client("s3", endpoint_url=server.url)) as s3:
        made.pages._address = lambda: BucketAddress(s3, credentials, BUCKET)  # noqa: SLF001
        assert made.listing.usage(PREFIX) == SUM

    names = {headers["authorization"].split("/")[0] for headers in server.headers}
    assert len(names) == 4


def test_no_credentials_is_said_so() -> None:

    with closing(SESSION.client("s3")) as s3, pytest.raises(NoCredentialsError):
        BucketAddress(s3, None, BUCKET)


def test_neither_logs_nor_errors_show_a_url(lists: Lists, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = ten(from_page(1, Reply(b"<ListBucketResult>", claimed=1_000)))
    with lists(server) as made, pytest.raises(Unreachable) as raised:
        made.listing.usage(PREFIX)

    assert "continuation" not in repr(raised.value)
    assert [record for record in caplog.records if record.name.startswith("urllib3")] == []
