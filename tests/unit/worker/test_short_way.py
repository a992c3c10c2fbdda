"""The short way against botocore's own: the same requests, the same answers, the same errors."""

from __future__ import annotations

import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError

from worker.short_way import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

URL = "https://sqs.us-east-1.amazonaws.com/1/a-queue"
EMPTY: dict[str, Any] = {}
OK = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
SESSION = boto3.Session("AKIAEXAMPLE", "a-secret", "a-token", "us-east-1")


@dataclass(frozen=True, slots=True)
class Asked:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Reply:
    """What the server does with a request: answers, cuts the answer short, or says nothing."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    closes: bool = False
    silent: bool = False
    hangs: bool = False
    raw: str = ""


@dataclass(slots=True)
class Service:
    """Answers in turn; the last answer again and again."""

    replies: list[Reply]
    asked: list[Asked] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    over: Event = field(default_factory=Event)
    open: int = 0
    answered: int = 0
    url: str = ""

    def next(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def serving(*replies: Reply) -> Iterator[Service]:
    service = Service(list(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            service.connections.add(self.client_address)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = service.next(Asked(self.path, dict(self.headers.items()), body))
            if reply.hangs:
                service.over.wait(10)
            if reply.silent or reply.hangs:
                self.close_connection = True
                return
            if reply.raw:
                self.wfile.write(reply.raw.encode())
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) + (5 if reply.cut else 0)))
            self.end_headers()
            self.wfile.write(reply.body)
            service.answered += 1
            # Without a word beforehand, as a server does with a connection that lay idle.
            self.close_connection = reply.cut or reply.closes

        def setup(self) -> None:
            super().setup()
            service.open += 1

        def finish(self) -> None:
            super().finish()
            service.open -= 1

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.over.set()
            server.shutdown()


def client(name: str, url: str, *, attempts: int = 1, timeout: float = 5) -> Any:  # noqa: ANN401 - of either service
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(retries=retries, parameter_validation=False, read_timeout=timeout)
    return SESSION.client(name, endpoint_url=url, config=config)


@contextmanager
def sqs(url: str, *, short: bool = True, timeout: float = 5) -> Iterator[SQSClient]:
    with closing(client("sqs", url, timeout=timeout)) as made:
        if not short:
            yield made
            return
        operations = ("ReceiveMessage", "DeleteMessageBatch")
        with closing(shorten(made, *operations)):
            yield made


@contextmanager
def dynamodb(url: str, *, short: bool = True) -> Iterator[DynamoDBClient]:
    with closing(client("dynamodb", url)) as made:
        if not short:
            yield made
            return
        with closing(shorten(made, "BatchGetItem", "BatchExecuteStatement")):
            yield made


def answered(content: object, **headers: str) -> Reply:
    return Reply(json.dumps(content, ensure_ascii=False).encode(), headers=headers)


def receive(made: SQSClient) -> dict[str, Any]:
    return dict(
        made.receive_message(QueueUrl=URL, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    )


def delete(made: SQSClient) -> dict[str, Any]:
    entries: Any = [{"Id": "0", "ReceiptHandle": "é+/="}]
    return dict(made.delete_message_batch(QueueUrl=URL, Entries=entries))


def read(made: DynamoDBClient) -> dict[str, Any]:
    return dict(made.batch_get_item(RequestItems={"t": {"Keys": [{"id": {"S": "é"}}]}}))


def write(made: DynamoDBClient) -> dict[str, Any]:
    statement: Any = {"Statement": "DELETE FROM t WHERE id = ?", "Parameters": [{"S": "1"}]}
    return dict(made.batch_execute_statement(Statements=[statement]))


MESSAGE = {
    "MessageId": "m",
    "ReceiptHandle": "AQEB+/=",
    "MD5OfBody": "x",
    "Body": '{"a": null, "text": "é\\"B\\": 1"}',
    "Attributes": {"ApproximateReceiveCount": "1"},
}
ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "x"},
    "bytes": {"DataType": "Binary", "BinaryValue": "AAEC"},
}
ITEM = {"id": {"S": "é"}, "n": {"N": "12345678901234567890"}, "no": {"NULL": True}}
REFUSED = {"Error": {"Code": "DuplicateItem", "Message": "is there"}, "TableName": "t"}


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (receive, EMPTY),
        (receive, {"Messages": None}),
        (receive, {"Messages": [MESSAGE]}),
        (receive, {"Messages": [MESSAGE | {"MessageAttributes": ATTRIBUTES}, MESSAGE]}),
        (delete, {"Successful": [{"Id": "0"}], "Failed": []}),
        (delete, {"Successful": [], "Failed": [{"Id": "0", "Code": "X", "SenderFault": True}]}),
    ],
)
def test_queues_answer_as_by_botocore(
    ask: Callable[[SQSClient], dict[str, Any]], answer: object
) -> None:
    with serving(answered(answer)) as service:
        with sqs(service.url) as made:
            ours = ask(made)
        with sqs(service.url, short=False) as made:
            theirs = ask(made)

    assert plain(ours) == plain(theirs)
    assert_same_request(*service.asked)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (read, {"Responses": {"t": [ITEM]}, "UnprocessedKeys": {}}),
        (read, {"Responses": {"t": [ITEM | {"b": {"B": "AAEC"}}]}, "UnprocessedKeys": {}}),
        (read, {"Responses": {"t": [{"l": {"L": [{"BS": ["AAEC"]}]}}]}}),
        (read, {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [{"id": {"S": "é"}}]}}}),
        (write, {"Responses": [{"TableName": "t", "Item": ITEM}, REFUSED]}),
        (write, {"Responses": [{"TableName": "t"}]}),
    ],
)
def test_tables_answer_as_by_botocore(
    ask: Callable[[DynamoDBClient], dict[str, Any]], answer: object
) -> None:
    with serving(answered(answer)) as service:
        with dynamodb(service.url) as made:
            ours = ask(made)
        with dynamodb(service.url, short=False) as made:
            theirs = ask(made)

    assert plain(ours) == plain(theirs)
    assert_same_request(*service.asked)


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    about = answer["ResponseMetadata"]
    return answer | {"ResponseMetadata": about["HTTPStatusCode"]}


def assert_same_request(ours: Asked, theirs: Asked) -> None:
    assert (ours.path, ours.body) == (theirs.path, theirs.body)
    for name in ("X-Amz-Target", "Content-Type", "Host", "X-Amz-Security-Token", "User-Agent"):
        assert ours.headers[name] == theirs.headers[name], name
    assert ours.headers["Authorization"] == signed_anew(ours)


def signed_anew(asked: Asked) -> str:
    """The signature that AWS computes of what arrived."""
    authorization = asked.headers["Authorization"]
    names = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    arrived = {name.lower(): value for name, value in asked.headers.items()}
    request = AWSRequest(
        "POST", f"http://{arrived['host']}{asked.path}", {n: arrived[n] for n in names}, asked.body
    )
    request.context["timestamp"] = arrived["x-amz-date"]
    service = authorization.split("/")[3]
    signer = SigV4Auth(Credentials("AKIAEXAMPLE", "a-secret", "a-token"), service, "us-east-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return f"{authorization.split('Signature=')[0]}Signature={signer.signature(text, request)}"


def test_a_connection_is_kept() -> None:
    with serving(answered(EMPTY)) as service, sqs(service.url) as made:
        for _ in range(5):
            receive(made)

    assert len(service.asked) == 5
    assert len(service.connections) == 1


def test_each_thread_has_an_answer_of_its_own() -> None:
    with (
        serving(*[answered({"Successful": [{"Id": str(n)}]}) for n in range(64)]) as service,
        sqs(service.url) as made,
        ThreadPoolExecutor(8) as crew,
    ):
        answers = list(crew.map(lambda _: delete(made), range(64)))

    assert {each["Successful"][0]["Id"] for each in answers} == {str(n) for n in range(64)}


def test_who_ends_leaves_no_connection_open() -> None:
    with serving(answered(EMPTY)) as service, sqs(service.url) as made:
        for _ in range(3):
            thread = Thread(target=receive, args=(made,))
            thread.start()
            thread.join()
        wait_until(lambda: service.open == 0)

    assert len(service.connections) == 3


def wait_until(true: Callable[[], bool]) -> None:
    pause, until = Event(), monotonic() + 10
    while not true():
        assert monotonic() < until
        pause.wait(0.01)


def test_a_refusal_is_botocores() -> None:
    refusal = Reply(b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "gone"}', 400)
    with serving(refusal) as service, sqs(service.url) as made:
        with pytest.raises(ClientError) as failed:
            receive(made)
        assert len(service.asked) == 2

    assert "QueueDoesNotExist" in failed.value.response["Error"]["Code"]


WHOLE = answered({"Messages": [MESSAGE]})


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Reply(b"{}", 500), id="an error of the server"),
        pytest.param(Reply(b'{"Messages": [', cut=True), id="half an answer"),
        pytest.param(Reply(b'{"Messages": ['), id="half an answer that claims to be whole"),
        pytest.param(Reply(b"[]"), id="no object"),
        pytest.param(Reply(b'{"Messages": "\xff"}'), id="no text"),
        pytest.param(Reply(b"", raw=f"{OK}Transfer-Encoding: chunked\r\n\r\n-5\r\n"), id="no size"),
        pytest.param(Reply(b"", silent=True), id="no answer"),
        pytest.param(Reply(b"", hangs=True), id="no answer for too long"),
    ],
)
def test_what_is_no_plain_answer_is_asked_for_again(first: Reply) -> None:
    with serving(first, WHOLE) as service, sqs(service.url, timeout=0.5) as made:
        assert receive(made)["Messages"] == [MESSAGE]

    assert len(service.asked) == 2


def test_a_connection_that_was_closed_meanwhile() -> None:
    with serving(Reply(b"{}", closes=True), WHOLE) as service, sqs(service.url) as made:
        receive(made)
        assert receive(made)["Messages"] == [MESSAGE]
        assert receive(made)["Messages"] == [MESSAGE]

    assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("surplus", "told"),
    [
        pytest.param("HTTP/1.1 103 Early Hints\r\n\r\n", ["2", "3"], id="before the answer"),
        pytest.param(f"{OK}Content-Length: 2\r\n\r\n{{}}", [None, "2"], id="an answer too many"),
    ],
)
def test_no_call_takes_the_answer_to_another(surplus: str, told: list[str | None]) -> None:
    replies = [answered({"Successful": [{"Id": each}]}) for each in "123"]
    replies[0].raw = surplus
    with serving(*replies) as service, sqs(service.url) as made:
        answers = [delete(made)]
        # All of the first is written by then.
        wait_until(lambda: service.answered >= 1)
        answers.append(delete(made))

    ids = [each["Successful"][0]["Id"] if "Successful" in each else None for each in answers]
    assert ids == told


def test_a_damaged_answer_is_asked_for_again() -> None:
    body = json.dumps({"Responses": {"t": [ITEM]}}).encode()
    right = {"x-amz-crc32": str(zlib.crc32(body))}
    wrong = Reply(body.replace(b"1234", b"4321"), headers=right)
    with serving(wrong, Reply(body, headers=right)) as service, dynamodb(service.url) as made:
        assert read(made)["Responses"] == {"t": [ITEM]}

    assert len(service.asked) == 2


def test_nobody_there_is_botocores_error() -> None:
    with serving(WHOLE) as service:
        url = service.url
    with sqs(url) as made, pytest.raises(EndpointConnectionError):
        receive(made)


def test_a_proxy_is_botocores_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(WHOLE) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with sqs("http://sqs.example.test") as made:
            assert receive(made)["Messages"] == [MESSAGE]

    assert [asked.path for asked in proxy.asked] == ["http://sqs.example.test/"]
