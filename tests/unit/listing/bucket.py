"""A bucket that answers `ListObjectsV2` as S3 does: in memory, or over HTTP with faults.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import base64
import threading
from bisect import bisect_left, bisect_right
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from worker.listing.page import Page, read_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from worker.listing.query import PageQuery

# What a key may hold and a listing may take for something else.
AWKWARD = (
    "<Size>7</Size>", "ze>7</Size>", "</Contents>", "<Contents>", "</ListBucketResult>",
    "<KeyCount>1</KeyCount>", "&amp;", "&#49;", "&", "%", "%20", "%3C", "+", " ", "//", "/",
    "..", "\\", "'", '"', "\r\n", "\x00", "\x7f", "\ud7ff", "\ue000", "\ufffd", "\U0010ffff",
)  # fmt: skip


class ListedBucket:
    """Objects by key, and how a page of them looks.

    Args:
        objects: sizes by key.
        page: keys a page.
    """

    def __init__(self, objects: Mapping[str, int], page: int = 1_000) -> None:
        # Python compares code points, which is the order of the UTF-8 bytes that S3 lists by.
        self.keys = sorted(objects)
        self.sizes = dict(objects)
        self.page = page

    def answer(self, asked: Mapping[str, str]) -> bytes:
        """The XML of one page."""
        prefix, encoded = asked.get("prefix", ""), asked.get("encoding-type") == "url"
        token = asked.get("continuation-token")
        after = _untoken(token) if token else asked.get("start-after", "")
        start = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after))
        found = []
        for key in self.keys[start : start + self.page + 1]:
            if not key.startswith(prefix):
                break
            found.append(key)
        more = len(found) > self.page
        return listing_xml(
            [(key, self.sizes[key]) for key in found[: self.page]],
            prefix=prefix,
            token=_token(found[self.page - 1]) if more else None,
            encoded=encoded,
        )

    def fetch(self, query: PageQuery) -> Page:
        """The page, without a network between."""
        return read_page(self.answer(query.parameters()), query.prefix)


def listing_xml(
    entries: list[tuple[str, int]],
    *,
    prefix: str = "",
    token: str | None = None,
    encoded: bool = True,
    **other: str,
) -> bytes:
    """A page in S3's words; `other` replaces what it says of itself."""
    said = {
        "Name": "a-bucket",
        "Prefix": _written(prefix, encoded=encoded),
        **({} if token is None else {"NextContinuationToken": escape(token)}),
        "KeyCount": str(len(entries)),
        "MaxKeys": "1000",
        **({"EncodingType": "url"} if encoded else {}),
        "IsTruncated": "false" if token is None else "true",
        **other,
    }
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>\n',
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
            *(f"<{name}>{value}</{name}>" for name, value in said.items()),
            *(
                f"<Contents><Key>{_written(key, encoded=encoded)}</Key>"
                "<LastModified>2026-10-12T17:50:30.000Z</LastModified>"
                "<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag>"
                f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
                for key, size in entries
            ),
            "</ListBucketResult>",
        ]
    ).encode()


def escape(text: str) -> str:
    """Text as S3 puts it into XML: control characters by number too."""
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(
        named.get(letter) or (f"&#x{ord(letter):x};" if letter < " " else letter) for letter in text
    )


def _written(key: str, *, encoded: bool) -> str:
    return quote(key, safe="/*").replace("%20", "+") if encoded else escape(key)


def _token(key: str) -> str:
    # With what has to be escaped in XML, in a URL, or in both.
    return f"1&<+/= %{base64.b64encode(key.encode()).decode()}"


def _untoken(token: str) -> str:
    return base64.b64decode(token.removeprefix("1&<+/= %")).decode()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that replaces the bucket's own; `claimed` is a false Content-Length."""

    body: bytes
    status: int = 200
    claimed: int | None = None


@dataclass(slots=True)
class BucketServer:
    """A bucket behind a socket; `fault` may replace the answer to the nth request (from 0)."""

    bucket: ListedBucket
    fault: Callable[[int, Mapping[str, str]], Reply | None] = lambda _number, _asked: None
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        asked = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return self.fault(number, asked) or Reply(self.bucket.answer(asked))
        finally:
            with self._lock:
                self.in_flight -= 1


@contextmanager
def served(server: BucketServer) -> Iterator[BucketServer]:
    """Serve a bucket on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            reply = server.reply(self.path, dict(self.headers.items()))
            self.send_response(reply.status)
            self.send_header("Content-Length", str(reply.claimed or len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = reply.claimed is not None

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
