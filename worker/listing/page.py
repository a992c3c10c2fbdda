"""One page of a listing: the scan that is written by hand, and every check that keeps it honest.

The sizes are found by one compiled expression. That is exact because the page is held against what
it says of itself: an answer that is no listing, is cut, or holds more or fewer sizes than its
``KeyCount`` is refused (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from worker.listing.errors import WrongPage

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<([A-Za-z]+)[\s>]")
# In text a `<` is always escaped, so only an element's own end can follow the digits. It begins in
# the middle of the word: a search for a rare letter passes over the many tags faster.
_SIZE = re.compile(rb"ze>([0-9]+)</Size>")
_FIELD = re.compile(
    rb"<(KeyCount|IsTruncated|NextContinuationToken|EncodingType|Prefix)>([^<]*)</\1>"
)
_ENTRY = re.compile(rb"<Contents>(.*?)</Contents>", re.DOTALL)
_ENTRY_KEY = re.compile(rb"<Key>([^<]*)</Key>")
_ENTRY_WRITTEN = re.compile(rb"<LastModified>([^<]*)</LastModified>")
# Not html.unescape: HTML reads some numbers otherwise, and drops control characters.
_REFERENCE = re.compile(r"&(?:#([0-9]+)|#x([0-9a-fA-F]+)|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# Keys, one `<` between them, that are escaped neither in XML nor in a URL, as few are.
_PLAIN = re.compile(rb"[<!$'()*,./0-9:;=@A-Z_a-z~-]*")
_FIRST, _LAST = b"<Contents>", b"</Contents>"
_END = b"</ListBucketResult>"
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a page lists it; its size in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page that held what it said.

    Args:
        objects: how many it lists.
        total_bytes: the sum of their sizes.
        first_key: None where it lists none.
        last_key: None where it lists none.
        token: leads to the next page; None on the last one.
        body: the XML as it came.
        encoded: whether its keys are URL-encoded.
    """

    objects: int
    total_bytes: int
    first_key: str | None
    last_key: str | None
    token: str | None
    body: bytes
    encoded: bool

    def entries(self) -> Iterator[Entry]:
        """Every object, one by one: where a sum of them all is not enough.

        Raises:
            WrongPage: an entry without exactly one key and one size.
        """
        found = 0
        for entry in _ENTRY.finditer(self.body):
            keys, sizes = _ENTRY_KEY.findall(entry[1]), _SIZE.findall(entry[1])
            if len(keys) != 1 or len(sizes) != 1:
                raise WrongPage(f"an entry is not one key and one size: {_shown(entry[1])}")
            yield Entry(_decoded(keys[0], encoded=self.encoded), int(sizes[0]))
            found += 1
        if found != self.objects:
            raise WrongPage(f"{self.objects} sizes stand in {found} entries")

    def keys(self) -> list[str]:
        """The key of every object, as they come: a tenth of the work of :meth:`entries`.

        Raises:
            WrongPage: there are more keys than sizes, or fewer.
        """
        found = _ENTRY_KEY.findall(self.body, max(0, self.body.find(_FIRST)))
        joined = b"<".join(found)
        if _PLAIN.fullmatch(joined):
            keys = joined.decode().split("<") if found else []
        else:
            keys = [_decoded(key, encoded=self.encoded) for key in found]
        if len(keys) != self.objects:
            raise WrongPage(f"{self.objects} sizes stand beside {len(keys)} keys")
        return keys

    def sizes_of_first(self, count: int) -> list[int]:
        """The sizes of so many objects from the page's start on, at least one left out.

        Raises:
            WrongPage: an entry among them is not one key and one size.
        """
        found = _ENTRY_KEY.finditer(self.body, max(0, self.body.find(_FIRST)))
        behind = next(itertools.islice(found, count, None)).start()
        sizes = _SIZE.findall(self.body, 0, self.body.rfind(_FIRST, 0, behind))
        if len(sizes) != count:
            raise WrongPage(f"{count} objects have {len(sizes)} sizes")
        return [int(size) for size in sizes]

    def last_written(self) -> datetime | None:
        """When the latest of its objects was written, UTC; None where it lists none.

        Raises:
            WrongPage: not every entry names its time.
        """
        times = _ENTRY_WRITTEN.findall(self.body)
        try:
            read = [datetime.fromisoformat(time.decode()) for time in times]
        except ValueError:
            raise WrongPage("a LastModified is no time") from None
        if len(read) != self.objects:
            raise WrongPage(f"{self.objects} objects name {len(read)} times")
        return max(read, default=None)


def read_page(body: bytes, prefix: str) -> Page:
    """Read an answer to ``ListObjectsV2`` for a prefix, without a delimiter.

    Raises:
        WrongPage: the answer is not a whole and coherent page of that prefix; says what is wrong.
    """
    root = _ROOT.match(body)
    if root is None or root[1] != b"ListBucketResult":
        raise WrongPage(f"the answer is no listing: {_shown(body)}")
    if not body.rstrip().endswith(_END):
        raise WrongPage(f"the page is cut after {len(body)} bytes")
    first, last = body.find(_FIRST), body.rfind(_LAST) + len(_LAST)
    if first < 0:
        first = last = len(body)
    fields = _fields(body[:first] + body[last:])
    sizes = _SIZE.findall(body, first, last)
    _check_count(fields, len(sizes))
    encoded = fields.get("EncodingType") == b"url"
    _check_prefix(fields.get("Prefix"), prefix, encoded=encoded)
    edges = _edges(body, first, last, encoded=encoded) if sizes else (None, None)
    for key in edges:
        if key is not None and not key.startswith(prefix):
            raise WrongPage(f"the key {key[:_SHOWN]!r} does not lie under {prefix}")
    return Page(
        objects=len(sizes),
        total_bytes=sum(map(int, sizes)),
        first_key=edges[0],
        last_key=edges[1],
        token=_token(fields),
        body=body,
        encoded=encoded,
    )


def _fields(frame: bytes) -> dict[str, bytes]:
    """What a page says of itself, before and after its entries: servers differ in the order."""
    found: dict[str, bytes] = {}
    for name, value in _FIELD.findall(frame):
        if name.decode() in found:
            raise WrongPage(f"the page names {name.decode()} twice")
        found[name.decode()] = value
    return found


def _check_count(fields: dict[str, bytes], sizes: int) -> None:
    count = fields.get("KeyCount", b"")
    if not count.isdigit():
        raise WrongPage("the page names no KeyCount: is this ListObjectsV2?")
    if int(count) != sizes:
        raise WrongPage(f"the page says KeyCount {int(count)} and holds {sizes} sizes")


def _check_prefix(said: bytes | None, prefix: str, *, encoded: bool) -> None:
    if said and prefix not in {_decoded(said, encoded=encoded), _decoded(said, encoded=False)}:
        raise WrongPage(f"the page is about {_shown(said)}, not about {prefix}")


def _token(fields: dict[str, bytes]) -> str | None:
    truncated = fields.get("IsTruncated")
    if truncated not in {b"true", b"false"}:
        raise WrongPage("the page does not say whether it IsTruncated")
    # Tokens are never URL-encoded, whatever the encoding type; they are XML like all the rest.
    token = _decoded(fields.get("NextContinuationToken", b""), encoded=False)
    if (truncated == b"true") is not bool(token):
        raise WrongPage(
            f"the page says IsTruncated {truncated.decode()} and names "
            f"{'a' if token else 'no'} NextContinuationToken"
        )
    return token or None


def _edges(body: bytes, first: int, last: int, *, encoded: bool) -> tuple[str, str]:
    start = _ENTRY_KEY.search(body, first, last)
    end = _ENTRY_KEY.search(body, max(first, body.rfind(b"<Key>", first, last)), last)
    if start is None or end is None:
        raise WrongPage("the page lists sizes and no keys")
    return _decoded(start[1], encoded=encoded), _decoded(end[1], encoded=encoded)


def _decoded(text: bytes, *, encoded: bool) -> str:
    """A value as it was before it was put into XML, and perhaps into a URL before that.

    Raises:
        WrongPage: it is not UTF-8.
    """
    try:
        plain = text.decode()
        if "&" in plain:
            plain = _REFERENCE.sub(_referenced, plain)
        return unquote_plus(plain, errors="strict") if encoded else plain
    except ValueError:
        raise WrongPage(f"a value is not UTF-8: {_shown(text)}") from None


def _referenced(reference: re.Match[str]) -> str:
    decimal, hexadecimal, name = reference.groups()
    if name is not None:
        return _NAMED[name]
    return chr(int(decimal) if decimal is not None else int(hexadecimal, 16))


def _shown(text: bytes) -> str:
    return repr(text[:_SHOWN].decode(errors="replace"))
