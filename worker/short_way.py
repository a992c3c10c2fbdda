"""A short way through botocore, for the few calls that a full queue consists of.

botocore writes a request, signs it, and knows every error. But between a signed request and its
answer lie hooks, a pool and a parser that take half of a call's processor time. Here the signed
request goes over a connection that its thread keeps, and a plain answer is read as JSON.

Whatever else comes (a refusal, a broken connection, an answer that does not add up) is botocore's
to deal with: it makes the call again, with its retries and its errors, as if it were the first. So
nothing may go this way but what botocore itself would repeat.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import zlib
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse, create_request_object
from botocore.parsers import create_parser
from urllib3.util.wait import wait_for_read

from worker.route import authorities, proxy_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.model import OperationModel
    from botocore.signers import RequestSigner

_OK = 200
# Bytes travel in base64, and a null is as good as nothing: botocore's parser knows where.
_NOT_AS_WRITTEN = re.compile(rb'"(?:B|BS|BinaryValue|BinaryListValues)"\s*:|[:\[,]\s*null\b')
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
_CHECKSUM = "x-amz-crc32"


def shorten(client: BaseClient, *operations: str) -> ShortWay:
    """Let some of a client's operations go the short way, with the client's timeouts.

    Where a proxy stands on it, or its certificates cannot be read, all is left to botocore.

    Args:
        client: of a service that speaks JSON.
        operations: by the names of the API, such as ``ReceiveMessage``.
    """
    way = ShortWay(client.meta.config)
    origin = client.meta.endpoint_url
    if proxy_to(origin) is not None:
        return way
    if origin.startswith("https:"):
        try:
            way.trust = ssl.create_default_context(cafile=authorities())
        except OSError:
            return way
    service = client.meta.service_model.service_id.hyphenize()
    for operation in operations:
        # After every other: the first answer to this event takes the call's place.
        event = f"before-call.{service}.{operation}"
        client.meta.events.register_last(event, way.ask)  # type: ignore[arg-type]  # the stubs let no handler answer
    return way


class ShortWay:
    """Keeps a connection to each origin for each thread.

    Args:
        config: the client's; says how long to wait.
    """

    trust: ssl.SSLContext | None = None

    def __init__(self, config: Config) -> None:
        self._connect_timeout: float = config.connect_timeout  # type: ignore[attr-defined]  # not in the stubs
        self._read_timeout: float = config.read_timeout  # type: ignore[attr-defined]  # not in the stubs
        self._kept = threading.local()

    def ask(
        self,
        *,
        model: OperationModel,
        params: Mapping[str, Any],
        request_signer: RequestSigner,
        **_: object,
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """Make a call; None leaves it to botocore.

        Args:
            model: the operation.
            params: the request, as botocore wrote it.
            request_signer: the client's.
        """
        address = urlsplit(params["url"])
        request = create_request_object(params)
        # Told the host, botocore does not take it out of the URL again, twice.
        request.headers["Host"] = address.netloc
        request_signer.sign(model.name, request)
        connection = self._connection(address.scheme, address.netloc)
        try:
            self._open(connection)
            connection.request(
                request.method, address.path or "/", request.data, dict(request.headers.items())
            )
            answer = connection.getresponse()
            parsed = _parsed(model, answer, answer.read())
        # ValueError: a header that cannot be written, an answer that cannot be read.
        except (OSError, HTTPException, ValueError, _NotPlain):
            # What is yet to come on it would be taken for the answer to the next call.
            connection.close()
            return None
        headers: Any = answer.headers  # the stubs ask for a class of botocore's own
        return AWSResponse(params["url"], answer.status, headers, None), parsed

    def close(self) -> None:
        """Close every connection; nothing may be under way."""
        self._kept = threading.local()

    def _connection(self, scheme: str, netloc: str) -> HTTPConnection:
        """This thread's connection, open or not."""
        kept: _Kept | None = getattr(self._kept, "by_origin", None)
        if kept is None:
            kept = self._kept.by_origin = _Kept()
        connection = kept.get((scheme, netloc))
        if connection is None:
            connection = kept[scheme, netloc] = (
                HTTPSConnection(netloc, timeout=self._connect_timeout, context=self.trust)
                if scheme == "https"
                else HTTPConnection(netloc, timeout=self._connect_timeout)
            )
        return connection

    def _open(self, connection: HTTPConnection) -> None:
        """Connect, unless it is. Where something lies unasked, it has ended or is out of step."""
        if connection.sock is not None and wait_for_read(connection.sock, timeout=0):
            connection.close()
        is_new = connection.sock is None
        if is_new:
            connection.connect()
            connection.sock.settimeout(self._read_timeout)


class _NotPlain(Exception):  # noqa: N818 - says what the answer is
    """An answer for botocore to deal with."""


class _Kept(dict[tuple[str, str], HTTPConnection]):
    """A thread's connections, by scheme and host: closed when the thread ends."""

    def __del__(self) -> None:
        for connection in self.values():
            connection.close()


def _parsed(model: OperationModel, answer: HTTPResponse, body: bytes) -> dict[str, Any]:
    """The answer as botocore gives it.

    Raises:
        _NotPlain: it is no object under a plain 200, or came damaged.
        ValueError: it is no JSON.
    """
    checksum = answer.headers.get(_CHECKSUM)
    if answer.status != _OK or checksum not in {None, str(zlib.crc32(body))}:
        raise _NotPlain
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if model.output_shape is not None and _NOT_AS_WRITTEN.search(body):
        parser = create_parser(model.service_model.resolved_protocol)
        response = {"status_code": answer.status, "headers": headers, "body": body}
        parsed: Any = parser.parse(response, model.output_shape)
    else:
        parsed = json.loads(body.decode() or "{}")
    if not isinstance(parsed, dict):
        raise _NotPlain
    parsed["ResponseMetadata"] = {
        "RequestId": headers.get("x-amzn-requestid", ""),
        "HTTPStatusCode": answer.status,
        "HTTPHeaders": headers,
        "RetryAttempts": 0,
    }
    return parsed
