"""The post, against an SQS that refuses, fails and falls silent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from worker.dead_letters.mail import Mail
from worker.dead_letters.post import Post

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

Entries = list[dict[str, Any]]
MAILS = [Mail(name, f"body {name}", {}) for name in ("a", "b", "c")]


class Clock:
    def __init__(self) -> None:
        self.pauses = 0

    def now(self) -> datetime:
        return datetime(2026, 11, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.pauses += 1


class Sqs:
    """Answers each call with a fault, where one is given; takes what comes otherwise."""

    def __init__(self, *faults: Exception | None) -> None:
        self._faults = list(faults)
        self.taken: list[str] = []

    def send_message_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's name
        Entries: Entries,  # noqa: N803 - boto3's name
    ) -> dict[str, Entries]:
        assert QueueUrl == "url"
        fault = self._faults.pop(0) if self._faults else None
        if fault is not None:
            raise fault
        self.taken += [entry["MessageBody"] for entry in Entries]
        return {
            "Successful": [
                {"Id": entry["Id"], "MessageId": f"copy of {entry['MessageBody']}"}
                for entry in Entries
            ],
            "Failed": [],
        }


def refusal(code: str, status: int) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "m"},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "r",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
                "HostId": "h",
            },
        },
        "SendMessageBatch",
    )


def post(sqs: Sqs) -> Post:
    return Post(cast("SQSClient", sqs), Clock())


SILENCE = ReadTimeoutError(endpoint_url="https://sqs")
UNREACHED = EndpointConnectionError(endpoint_url="https://sqs")


@pytest.mark.parametrize("fault", [SILENCE, refusal("InternalError", 500)])
def test_what_sqs_did_not_answer_is_in_doubt_and_not_sent_again(fault: Exception) -> None:
    sqs = Sqs(fault)

    posted = post(sqs).send("url", MAILS)

    assert posted.doubtful.keys() == {"a", "b", "c"}
    assert sqs.taken == []


@pytest.mark.parametrize("fault", [UNREACHED, refusal("RequestThrottled", 403)])
def test_what_sqs_cannot_have_taken_is_sent_again(fault: Exception) -> None:
    sqs = Sqs(fault, fault)

    posted = post(sqs).send("url", MAILS)

    assert posted.ids.keys() == {"a", "b", "c"}
    assert not posted.doubtful


@pytest.mark.parametrize("fault", [UNREACHED, refusal("RequestThrottled", 403)])
def test_it_does_not_try_for_ever(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        post(Sqs(*[fault] * 100)).send("url", MAILS)


def test_whom_sqs_refuses_learns_so_at_once() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        post(Sqs(refusal("AccessDenied", 403))).send("url", MAILS)


def test_one_bad_message_is_named_and_holds_up_no_other() -> None:
    too_long = refusal("InvalidParameterValue", 400)

    posted = post(Sqs(too_long, too_long)).send("url", MAILS)

    assert posted.refused == {"a": "InvalidParameterValue: m"}
    assert posted.ids.keys() == {"b", "c"}


def test_what_was_sent_before_a_refusal_is_known() -> None:
    sqs = Sqs(refusal("InvalidParameterValue", 400), None, refusal("AccessDenied", 403))

    posted = post(sqs).send("url", MAILS)

    assert posted.ids.keys() == {"a"}
    assert posted.refused.keys() == {"b", "c"}
    assert sqs.taken == ["body a"]
