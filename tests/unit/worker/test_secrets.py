"""Secrets are planted where the worker meets them; none comes out, at DEBUG and in tracebacks."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Literal

import boto3
import pytest
import structlog
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from infra.stripe_simulator import RunningClock, StripeSimulator, serve
from worker.logs import configure_logs
from worker.redaction import redacted
from worker.settings import Settings
from worker.stripe_api.api_key import ApiKey
from worker.stripe_api.connection import StripeConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STRIPE_KEY = "sk_live_PlantedStripeKey4242"
ACCESS_KEY = "ASIAPLANTEDACCESSKEY"
SECRET_KEY = "PlantedSecretAccessKey/+42"
TOKEN = "PlantedSessionToken//////////42"
PLANTED = ("PlantedStripeKey", "PLANTEDACCESSKEY", "PlantedSecretAccessKey", "PlantedSessionToken")
LIBRARIES = ("botocore", "boto3", "urllib3", "stripe", "requests")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = structlog.get_config()
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    structlog.configure(**before)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture(params=["json", "console"])
def form(request: pytest.FixtureRequest) -> Literal["json", "console"]:
    return "json" if request.param == "json" else "console"


def open_up() -> None:
    """What an operator would have to do against us: every library at DEBUG."""
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.DEBUG)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    shown = "".join(capsys.readouterr())
    assert not [secret for secret in PLANTED if secret in shown], shown
    return shown


def call_aws() -> str:
    """A call with planted credentials whose answer carries a secret, and a signed URL."""
    session = boto3.Session(
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=TOKEN,
        region_name="ap-northeast-1",
    )
    client = session.client("secretsmanager", config=Config(retries={"total_max_attempts": 1}))
    content = json.dumps({"SecretString": json.dumps({"STRIPE_SECRET_KEY": STRIPE_KEY})}).encode()

    class Raw:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield content

    def answer(**_: object) -> AWSResponse:
        return AWSResponse("https://secrets.invalid/", 200, HTTPHeaders(), Raw())

    client.meta.events.register("before-send", answer)
    assert STRIPE_KEY in client.get_secret_value(SecretId="x")["SecretString"]
    url = session.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": "siftbeam", "Key": "a key"}
    )
    assert isinstance(url, str)
    assert "PlantedSessionToken" in url
    return url


@pytest.mark.parametrize("libraries", ["as configured", "at DEBUG"])
def test_neither_our_lines_nor_the_libraries_tell_aws_credentials(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"], libraries: str
) -> None:
    configure_logs(Settings(log_format=form, log_level="DEBUG"))
    if libraries == "at DEBUG":
        open_up()

    url = call_aws()
    structlog.get_logger().debug("listing", action="test", url=url, deep={"urls": [url]})

    shown = said(capsys)
    assert "a%20key" in shown
    if libraries == "at DEBUG":
        assert "CanonicalRequest" in shown
        assert "STRIPE_SECRET_KEY" in shown


@pytest.mark.parametrize("libraries", ["as configured", "at DEBUG"])
def test_nor_the_key_of_stripe(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"], libraries: str
) -> None:
    configure_logs(Settings(log_format=form, log_level="DEBUG"))
    if libraries == "at DEBUG":
        open_up()
    settings = Settings.model_validate({"stripe_api_key": STRIPE_KEY})

    with serve(StripeSimulator(RunningClock())) as served:
        key = ApiKey(boto3.client("secretsmanager", "us-east-1"), "x", settings.stripe_api_key)
        problem = StripeConnection(key, served.url).problem()
    structlog.get_logger().error("Stripe refused", action="test", problem=problem, key=STRIPE_KEY)

    assert "401" in said(capsys)


def fail() -> None:
    headers = {"Authorization": f"Bearer {STRIPE_KEY}", "x-amz-security-token": TOKEN}
    raise RuntimeError(f"request failed: {headers} https://s3/?X-Amz-Security-Token={TOKEN}&a=1")


def test_nor_a_traceback(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"]
) -> None:
    configure_logs(Settings(log_format=form, log_level="DEBUG"))
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("a handler failed", action="handler_failed")
        logging.getLogger("somebody").exception("theirs failed")

    shown = said(capsys)
    assert shown.count("request failed") >= 2
    assert "test_secrets.py" in shown


def test_nor_a_thread_that_dies(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"]
) -> None:
    configure_logs(Settings(log_format=form, log_level="INFO"))
    thread = threading.Thread(target=fail, name="poll-daily-sizing")
    thread.start()
    thread.join()

    shown = said(capsys)
    assert "poll-daily-sizing" in shown
    assert "thread_crashed" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rk_test_abc123 was refused", "rk_test_*** was refused"),
        ('{"key": "sk_live_abc"}', '{"key": "sk_live_***"}'),
        ("Authorization: Bearer abc.def.ghi.jkl", "Authorization: Bearer ***"),
        ("?X-Amz-Signature=ab12&X-Amz-Date=3", "?X-Amz-Signature=***&X-Amz-Date=3"),
        ("Signature:\nab12", "Signature:\n***"),
        ("'aws_session_token': 'abc'", "'aws_session_token': '***'"),
        ("whsec_abc", "whsec_***"),
        (
            "u=https%3A%2F%2Fs3%2Fa%3FX-Amz-Signature%3Dab12",
            "u=https%3A%2F%2Fs3%2Fa%3FX-Amz-Signature%3D***",
        ),
        (f"token IQoJb3JpZ2lu{'aB9/' * 20} expired", "token IQoJb*** expired"),
        ("proxy http://me:secret@10.0.0.1:3128/", "proxy http://me:***@10.0.0.1:3128/"),
        ("http://localhost:4566/a:b@c", "http://localhost:4566/a:b@c"),
        ("a basic truth about cus_1", "a basic truth about cus_1"),
        ("cus_A 2026-10 storage-usage:cus_A:2026-10", "cus_A 2026-10 storage-usage:cus_A:2026-10"),
    ],
)
def test_what_is_blotted_out(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("sk_test_abc", "sk_live_abc", "rk_live_abc", "rk_test_abc", "whsec_abc"),
        *("bearer abcdefghijkl", "basic abcdefghijkl"),
        *("X-Amz-Security-Token=abc", "X-Amz-Credential=abc", "X-Amz-Signature=abc"),
        *("aws_secret_access_key=abc", "secretAccessKey: abc", "sessionToken: abc"),
        *("AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"),
        *(f"IQoJb{'a' * 40}", f"FwoGZX{'a' * 40}", f"FQoGZX{'a' * 40}"),
        *("postgres://me:abc@db", "X-Amz-\u017fignature=abc", "session_to\N{KELVIN SIGN}en=abc"),
    ],
)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
def test_each_kind_of_secret_in_any_case(text: str, case: Callable[[str], str]) -> None:
    assert "***" in redacted(f"before {case(text)} after")
